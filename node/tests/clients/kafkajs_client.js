// kafkajs for the client suite: `produce ADDRESS TOPIC CODEC` (records as JSON on stdin), `consume ADDRESS TOPIC COUNT
// SECONDS`, `group ADDRESS TOPIC GROUP SECONDS`, `fire ADDRESS TOPIC GROUP SESSION_MS`, `configure ADDRESS TOPIC JSON`.
// The codecs that kafkajs does not bring come from packages.
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const snappy = require('snappyjs')
const lz4 = require('lz4-napi')
const { ZstdCodec } = require('zstd-codec')

const xerial = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: async (encoder) => snappy.compress(encoder.buffer),
  decompress: async (buffer) => {
    if (!buffer.subarray(0, 8).equals(xerial)) return snappy.uncompress(buffer)
    const parts = []
    for (let at = 16; at < buffer.length; ) {
      const size = buffer.readInt32BE(at)
      parts.push(snappy.uncompress(buffer.subarray(at + 4, at + 4 + size)))
      at += 4 + size
    }
    return Buffer.concat(parts)
  },
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: async (buffer) => lz4.decompressFrame(buffer),
})
const zstd = new Promise((done) => ZstdCodec.run((z) => done(new z.Streaming())))
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from((await zstd).compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from((await zstd).decompress(buffer)),
})
const CODES = {
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD,
}

const [command, address, topic, ...rest] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'suite', brokers: [address], logLevel: logLevel.ERROR })
const raw = (s) => (s === null ? null : Buffer.from(s, 'base64'))
const text = (b) => (b === null || b === undefined ? null : Buffer.from(b).toString('base64'))

async function produce(codec) {
  const chunks = []
  for await (const c of process.stdin) chunks.push(c)
  const messages = JSON.parse(Buffer.concat(chunks)).map((r) => ({
    key: raw(r.key), value: raw(r.value), timestamp: r.timestamp, ...(r.partition === null ? {} : { partition: r.partition }),
    headers: Object.fromEntries(Object.entries(r.headers).map(([k, v]) => [k, v.length === 1 ? raw(v[0]) : v.map(raw)])),
  }))
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic, acks: -1, compression: CODES[codec], messages })
  await producer.disconnect()
  console.log('[]')
}

async function consume(count, seconds) {
  const consumer = kafka.consumer({ groupId: `js-${topic}-${Date.now()}`, maxBytesPerPartition: 4 << 20 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const rows = []
  await new Promise((done) => {
    setTimeout(done, seconds * 1000)
    consumer.run({
      eachMessage: async ({ partition, message }) => {
        const headers = Object.entries(message.headers || {}).flatMap(([k, v]) => (Array.isArray(v) ? v : [v]).map((x) => [k, text(x)]))
        rows.push({ key: text(message.key), value: text(message.value), timestamp: message.timestamp, headers, partition })
        if (rows.length >= count) done()
      },
    })
  })
  await consumer.disconnect()
  await new Promise((done) => process.stdout.write(JSON.stringify(rows) + '\n', done))
}

// Joins a group and prints the partitions it owns after each rebalance, one JSON line each, until the time is up.
async function group(id, seconds) {
  const consumer = kafka.consumer({ groupId: id, sessionTimeout: 10000, heartbeatInterval: 500 })
  consumer.on(consumer.events.GROUP_JOIN, (e) => console.error('JOIN ' + JSON.stringify(e.payload.memberAssignment)))
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  let seen = 0
  const beats = []
  consumer.on(consumer.events.REQUEST, ({ payload }) => { if (payload.apiName === 'Heartbeat') beats.push(payload.duration) })
  await consumer.run({ eachMessage: async () => { seen += 1 } })
  await new Promise((done) => setTimeout(done, seconds * 1000))
  await consumer.disconnect()
  console.log(JSON.stringify({ seen, heartbeats: beats.length, slowest_heartbeat_ms: Math.max(0, ...beats) }))
}

// A member of a group that tells what it owns and what it has processed, in the lines that fire_member.py describes. kafkajs does
// not tell when partitions are taken from it, but that a rebalance has begun.
async function fire(id, session) {
  const consumer = kafka.consumer({ groupId: id, sessionTimeout: session, heartbeatInterval: 500, rebalanceTimeout: 20000 })
  const us = () => process.hrtime.bigint() / 1000n
  const { GROUP_JOIN, REBALANCING, CRASH } = consumer.events
  let owned = []
  const gives = (how) => { if (owned.length) console.log(`${how} ${us()} ${owned.join(',')}`); owned = [] }
  consumer.on(REBALANCING, () => gives('R'))
  consumer.on(CRASH, () => gives('L'))
  consumer.on(GROUP_JOIN, (e) => {
    gives('R')
    owned = e.payload.memberAssignment[topic] || []
    console.log(`A ${us()} -1 ${owned.join(',') || '-'}`)
  })
  process.on('SIGTERM', async () => { await consumer.disconnect(); gives('R'); process.exit(0) })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommitThreshold: 20,
    eachMessage: async ({ partition, message }) => console.log(`P ${partition} ${message.offset} ${message.value}`),
  })
  await new Promise(() => {})
}

// Replaces the configuration of a topic (AlterConfigs, key 33) by `entries`, and prints what is described then.
async function configure(entries) {
  const admin = kafka.admin()
  await admin.connect()
  const configEntries = Object.entries(entries).map(([name, value]) => ({ name, value }))
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries }] })
  const described = await admin.describeConfigs({ includeSynonyms: true, resources: [{ type: 2, name: topic }] })
  await admin.disconnect()
  const own = described.resources[0].configEntries.filter((entry) => !entry.isDefault)
  console.log(JSON.stringify(Object.fromEntries(own.map((entry) => [entry.configName, entry.configValue]))))
}

const jobs = { produce: () => produce(rest[0]), consume: () => consume(+rest[0], +rest[1]), group: () => group(rest[0], +rest[1]),
  fire: () => fire(rest[0], +rest[1]),
  configure: () => configure(JSON.parse(rest[0])) }
jobs[command]().then(() => process.exit(0), (e) => { console.error(e); process.exit(1) })
