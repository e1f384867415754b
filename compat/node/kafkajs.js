// KafkaJS with its defaults, and idempotence. It consumes and commits as a member of a group only: see the members below. Besides it asks for
// offsets: by position, by time, and those of a group that has committed none.
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

const feature = (name) => console.log(`feature: ${name}`)
const offsetsOf = (answer, field) => Object.fromEntries(answer.map((p) => [p.partition, Number(p[field])]))

// A member of the group: what it owns, and what it read of each partition, as the next offset.
async function join() {
  const consumer = kafka.consumer({ groupId: `${groupId}-members` })
  const member = { consumer, share: [], next: {}, read: [] }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => { member.share = payload.memberAssignment[topic] ?? [] })
  consumer.on(consumer.events.REBALANCING, () => { member.share = [] })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      member.next[partition] = Number(message.offset) + 1
      member.read.push(`${partition}@${message.offset}`)
    },
  })
  return member
}

async function commitAndLeave({ consumer, share, next }) {
  await consumer.commitOffsets(share.map((partition) => ({ topic, partition, offset: String(next[partition]) })))
  await consumer.disconnect()
}

async function until(condition, sentence) {
  for (const deadline = Date.now() + 30000; !condition(); await new Promise((done) => setTimeout(done, 50)))
    assert.ok(Date.now() < deadline, sentence())
}

// Two members share the partitions and read everything; who comes later gets only what came later.
async function checkGroup(ends, produceOne) {
  const members = await Promise.all([join(), join()])
  await until(() => {
    const owned = members.flatMap((m) => m.share)
    return members.every((m) => m.share.length > 0 && m.share.every((p) => m.next[p] === ends[p])) &&
      owned.length === partitions && new Set(owned).size === partitions
  }, () => `members own ${JSON.stringify(members.map((m) => m.share))}, read up to ${JSON.stringify(members.map((m) => m.next))}`)
  for (const m of members) await commitAndLeave(m)
  const later = await produceOne()
  const last = await join()
  await until(() => last.read.length > 0, () => 'who joined after the commits read nothing')
  assert.deepEqual(last.read, [later], 'who joined after the commits')
  await last.consumer.disconnect()
  feature('classic group')
}

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  const created = await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }] })
  assert.equal(created, true, 'the topic was there already')
  const started = Date.now()
  feature('create topic')

  const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner })
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
  assert.equal(Object.values(acknowledged).reduce((a, b) => a + b), records)

  feature('idempotent produce')

  const offsets = await admin.fetchTopicOffsets(topic)
  assert.deepEqual(offsetsOf(offsets, 'high'), acknowledged, 'high watermarks')
  assert.deepEqual(offsetsOf(offsets, 'low'), { 0: 0, 1: 0, 2: 0 }, 'log start offsets')
  assert.deepEqual(offsetsOf(await admin.fetchTopicOffsetsByTimestamp(topic, started - 1000), 'offset'),
    { 0: 0, 1: 0, 2: 0 }, 'offsets of the first records by time')
  assert.deepEqual(offsetsOf(await admin.fetchTopicOffsetsByTimestamp(topic, Date.now() + 3600000), 'offset'),
    acknowledged, 'offsets of a time yet to come: the end')
  feature('offsets')

  const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] })
  assert.deepEqual(offsetsOf(committed.partitions, 'offset'), { 0: -1, 1: -1, 2: -1 },
    'offsets of a group that never committed')
  await admin.disconnect()
  await checkGroup(acknowledged, async () => {
    const [answer] = await producer.send({ topic, messages: [{ value: 'later', partition: 0 }] })
    return `0@${answer.baseOffset}`
  })
  await producer.disconnect()
  console.log(`client=kafkajs version=${version} ok`)
}

main().catch((error) => {
  console.error('FAILED:', error)
  process.exit(1)
})
