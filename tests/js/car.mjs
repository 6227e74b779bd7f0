// What @ipld/car and ipfs-unixfs-exporter make of our CARs, and CARs made by them.
// In:  {"read": [{"car": path, "entry"?: path within the root}], "write": [{"car": path, "order": "parents first" or
//       "children first", "profile", "files": [{"path", "size"}]}]}
// Out: {"read": [{"roots", "blocks", "bytes", "sha256"}], "write": [{"root"}]}
// A root of DAG-CBOR is taken for an envelope: its field `body` is the file.
import * as dagCbor from '@ipld/dag-cbor'
import { CarReader, CarWriter } from '@ipld/car'
import { exporter } from 'ipfs-unixfs-exporter'
import { importer } from 'ipfs-unixfs-importer'
import { sha256 } from 'multiformats/hashes/sha2'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const job = JSON.parse(readFileSync(0, 'utf8'))

async function read ({ car, entry }) {
  const reader = await CarReader.fromIterable(createReadStream(car))
  const blocks = []
  for await (const { cid, bytes } of reader.blocks()) {
    // The library does not do this itself.
    const digest = await sha256.digest(bytes)
    if (Buffer.compare(digest.bytes, cid.multihash.bytes) !== 0) {
      throw new Error(`${car}: block ${cid} does not match its CID`)
    }
    blocks.push(cid.toString())
  }
  const roots = await reader.getRoots()
  const store = {
    get: async function * (cid) {
      const block = await reader.get(cid)
      if (block == null) {
        throw new Error(`${car}: block ${cid} is missing`)
      }
      yield block.bytes
    }
  }
  let file = roots[0]
  if (file.code === dagCbor.code) {
    file = dagCbor.decode((await reader.get(file)).bytes).body
  }
  const path = entry == null ? file : `${file}/${entry}`
  const { size, content } = await exporter(path, store)
  const hash = createHash('sha256')
  for await (const part of content()) {
    hash.update(part)
  }
  return { roots: roots.map(String), blocks, bytes: Number(size), sha256: hash.digest('hex') }
}

async function write ({ car, order, profile, files }) {
  const blocks = []
  const store = {
    put: async (cid, bytes) => {
      blocks.push({ cid, bytes })
      return cid
    }
  }
  const candidates = files.map(({ path, size }) => ({
    path,
    content: Uint8Array.from({ length: size }, (_, i) => Math.imul(i, 2654435761) >>> 24)
  }))
  let root
  for await (const entry of importer(candidates, store, { profile, wrapWithDirectory: false })) {
    root = entry.cid
  }
  if (order === 'parents first') {
    blocks.reverse()
  }
  const { writer, out } = CarWriter.create([root])
  const done = pipeline(Readable.from(out), createWriteStream(car))
  for (const block of blocks) {
    await writer.put(block)
  }
  await writer.close()
  await done
  return { root: root.toString() }
}

const result = { read: [], write: [] }
for (const task of job.read ?? []) {
  result.read.push(await read(task))
}
for (const task of job.write ?? []) {
  result.write.push(await write(task))
}
console.log(JSON.stringify(result))
