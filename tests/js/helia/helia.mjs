// Our CARs through Helia: imported into its blockstore, the file read there, and exported again.
// In:  {"cars": [{"car": path, "again": path to write, "body"?: CID of the file below the root, "entry"?: its path}]}
// Out: {"cars": [{"bytes", "sha256"}]}
import { car } from '@helia/car'
import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { createHeliaLight } from 'helia'
import { exporter } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const job = JSON.parse(readFileSync(0, 'utf8'))
const result = { cars: [] }
for (const { car: path, again, body, entry } of job.cars) {
  // A node of its own for each, so that none lends a block to another.
  const helia = createHeliaLight({ codecs: [dagCbor] })
  const cars = car(helia)
  const reader = await CarReader.fromIterable(createReadStream(path))
  const [root] = await reader.getRoots()
  await cars.import(reader)
  const file = body == null ? root : CID.parse(body)
  const { size, content } = await exporter(entry == null ? file : `${file}/${entry}`, helia.blockstore, { offline: true })
  const hash = createHash('sha256')
  for await (const part of content()) {
    hash.update(part)
  }
  await pipeline(Readable.from(cars.export(root, { offline: true })), createWriteStream(again))
  result.cars.push({ bytes: Number(size), sha256: hash.digest('hex') })
}
console.log(JSON.stringify(result))
process.exit(0)
