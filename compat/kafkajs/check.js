// KafkaJS with its defaults. It consumes and commits as a member of a group only (its admin client joins one to set
// offsets), so it asks for offsets instead: by position, by time, and those of a group that has committed none.
'use strict'

const assert = require('node:assert/strict')
const { Kafka, Partitioners, logLevel } = require('kafkajs')
const { version } = require('kafkajs/package.json')

const topic = process.env.TOPIC
const groupId = `${topic}-group`
const partitions = 3
const records = 100

// The library warns about its choice of a partitioner unless that is named; this is its default.
const kafka = new Kafka({ clientId: 'kafkajs', brokers: [process.env.BOOTSTRAP], logLevel: logLevel.ERROR })

const offsetsOf = (answer, field) => Object.fromEntries(answer.map((p) => [p.partition, Number(p[field])]))

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  const created = await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }] })
  assert.equal(created, true, 'the topic was there already')
  const started = Date.now()

  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  const acknowledged = {}
  // Ten requests, since KafkaJS answers with the base offset of each batch only.
  for (let first = 0; first < records; first += 10) {
    const messages = Array.from({ length: 10 }, (_, i) => ({
      key: `key-${first + i}`, value: `value-${first + i}`, partition: (first / 10) % partitions,
    }))
    const [answer, ...others] = await producer.send({ topic, messages })
    assert.equal(others.length, 0, 'one batch, one answer')
    assert.equal(answer.errorCode, 0)
    const expected = acknowledged[answer.partition] ?? 0
    assert.equal(Number(answer.baseOffset), expected, `partition ${answer.partition}: acknowledged base offset`)
    acknowledged[answer.partition] = expected + messages.length
  }
  await producer.disconnect()
  assert.equal(Object.values(acknowledged).reduce((a, b) => a + b), records)

  const offsets = await admin.fetchTopicOffsets(topic)
  assert.deepEqual(offsetsOf(offsets, 'high'), acknowledged, 'high watermarks')
  assert.deepEqual(offsetsOf(offsets, 'low'), { 0: 0, 1: 0, 2: 0 }, 'log start offsets')
  assert.deepEqual(offsetsOf(await admin.fetchTopicOffsetsByTimestamp(topic, started - 1000), 'offset'),
    { 0: 0, 1: 0, 2: 0 }, 'offsets of the first records by time')
  assert.deepEqual(offsetsOf(await admin.fetchTopicOffsetsByTimestamp(topic, Date.now() + 3600000), 'offset'),
    acknowledged, 'offsets of a time yet to come: the end')

  const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] })
  assert.deepEqual(offsetsOf(committed.partitions, 'offset'), { 0: -1, 1: -1, 2: -1 },
    'offsets of a group that never committed')
  await admin.disconnect()
  console.log(`client=kafkajs version=${version} ok`)
}

main().catch((error) => {
  console.error('FAILED:', error)
  process.exit(1)
})
