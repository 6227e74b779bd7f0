// What ipfs-unixfs-importer makes of files and folders.
// In:  {"cases": [{"profile"?, "cidVersion"?, "rawLeaves"?, "chunk"?, "width"?, "files": [{"path", "size"?}]}]}; without a size
//       it is an empty folder.
// Out: {"roots": [CID of each case]}
// Byte i of every file is the highest byte of i * 2654435761 modulo 2^32.
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { readFileSync } from 'node:fs'

const { cases } = JSON.parse(readFileSync(0, 'utf8'))
const largest = Math.max(0, ...cases.flatMap(c => c.files.map(f => f.size ?? 0)))
const bytes = new Uint8Array(largest)
for (let i = 0; i < largest; i++) {
  bytes[i] = Math.imul(i, 2654435761) >>> 24
}

// Nothing is kept: only the CIDs matter.
const nowhere = { put: async cid => cid }

const roots = []
for (const { profile, cidVersion, rawLeaves, chunk, width, files } of cases) {
  const options = { wrapWithDirectory: false }
  if (profile !== undefined) {
    options.profile = profile
  } else {
    Object.assign(options, {
      cidVersion,
      rawLeaves,
      chunker: fixedSize({ chunkSize: chunk }),
      layout: balanced({ maxChildrenPerNode: width }),
      reduceSingleLeafToSelf: true
    })
  }
  // A view that ends where the file ends, in pieces that fit no chunk.
  const content = async function * (size) {
    for (let at = 0; at < size; at += 300_007) {
      yield bytes.subarray(at, Math.min(size, at + 300_007))
    }
  }
  const candidates = files.map(({ path, size }) => size == null ? { path } : { path, content: content(size) })
  let root
  for await (const entry of importer(candidates, nowhere, options)) {
    root = entry.cid
  }
  roots.push(root.toString())
}
console.log(JSON.stringify({ roots }))
