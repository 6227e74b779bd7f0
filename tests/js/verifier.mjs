// The core of the receipt verifier (crates/medledger/assets/receipt-verifier.html), which a browser runs, here without one.
// In:  {"page": path, "receipts": [{"bytes": hex, "chain"}], "signatures": [{"key", "signature", "message"}: hex]}
// Out: {"receipts": ["ok" or a reason], "signatures": [bool]}
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const job = JSON.parse(readFileSync(0, 'utf8'))
const page = readFileSync(job.page, 'utf8')
const core = page.split('<script id="core">')[1].split('</script>')[0]
const { check, verifies, sha256, sha512, hex, unhex } = new Function(`${core}; return ReceiptCheck`)()

// Its hashes against those of OpenSSL, around every boundary of their blocks.
for (let length = 0; length < 300; length++) {
  const data = Uint8Array.from({ length }, (_, i) => i * 7 + length)
  for (const [name, own] of [['sha256', sha256], ['sha512', sha512]]) {
    if (hex(own(data)) !== createHash(name).update(data).digest('hex')) throw new Error(`${name} of ${length} bytes`)
  }
}

const receipts = job.receipts.map(({ bytes, chain }) => {
  const found = check(unhex(bytes), chain)
  if (found.valid) return 'ok'
  if (found.message === '') throw new Error(`${found.reason} without words`)
  return found.reason
})
const signatures = job.signatures.map(({ key, signature, message }) => verifies(unhex(key), unhex(signature), unhex(message)))
console.log(JSON.stringify({ receipts, signatures }))
