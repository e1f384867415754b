// @platformatic/kafka with its defaults, and idempotence. It consumes as a member of a group only; both protocols of groups.
'use strict'

const assert = require('node:assert/strict')
const { Admin, Consumer, Producer, stringSerializers, stringDeserializers } = require('@platformatic/kafka')
const path = require('node:path')
// The package exports no package.json.
const { version } = require(path.join(path.dirname(require.resolve('@platformatic/kafka')), '..', 'package.json'))

const topic = process.env.TOPIC
const partitions = 3
const records = 100
const base = { clientId: 'platformatic', bootstrapBrokers: [process.env.BOOTSTRAP] }

const feature = (name) => console.log(`feature: ${name}`)
const numbers = (offsets) => offsets.get(topic).map(Number)

async function until(condition, sentence) {
  for (const deadline = Date.now() + 30000; !condition(); await new Promise((done) => setTimeout(done, 50)))
    assert.ok(Date.now() < deadline, sentence())
}

// A member of the group: what it owns, and what it read of each partition, as the next offset.
async function join(groupProtocol) {
  const member = { next: {}, read: [], error: null }
  member.consumer = new Consumer({ ...base, groupId: `${topic}-${groupProtocol}`, groupProtocol, autocommit: false, deserializers: stringDeserializers })
  member.share = () => member.consumer.assignments?.find((a) => a.topic === topic)?.partitions ?? []
  member.stream = await member.consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
  member.stream.on('error', (error) => { member.error = error })
  member.stream.on('data', ({ partition, offset, key, value }) => {
    member.next[partition] = Number(offset) + 1
    member.read.push({ place: `${partition}@${offset}`, key, value })
  })
  return member
}

// It may own more than it has read by now, of another one that has left; that one has committed.
async function commitAndLeave({ consumer, share, next, error }) {
  assert.equal(error, null)
  const offsets = share().filter((p) => next[p] !== undefined).map((partition) => ({ topic, partition, offset: BigInt(next[partition]), leaderEpoch: 0 }))
  await consumer.commit({ offsets })
  await consumer.close(true)
}

// Two members share the partitions and read everything; who comes later gets only what came later.
async function checkGroup(protocol, ends, produced, produceOne) {
  const members = await Promise.all([join(protocol), join(protocol)])
  await until(() => {
    const owned = members.flatMap((m) => m.share())
    return members.every((m) => m.share().length > 0 && m.share().every((p) => m.next[p] === ends[p])) &&
      owned.length === partitions && new Set(owned).size === partitions
  }, () => `members own ${JSON.stringify(members.map((m) => m.share()))}, read up to ${JSON.stringify(members.map((m) => m.next))}`)
  for (const { place, key, value } of members.flatMap((m) => m.read))
    if (produced[place] !== undefined) assert.deepEqual([key, value], [`key-${produced[place]}`, `value-${produced[place]}`])
  for (const m of members) await commitAndLeave(m)
  const later = await produceOne()
  ends[later.partition]++
  const last = await join(protocol)
  await until(() => last.read.length > 0, () => 'who joined after the commits read nothing')
  assert.deepEqual(last.read.map((r) => r.place), [`${later.partition}@${later.offset}`], 'who joined after the commits')
  await commitAndLeave(last)
  feature(protocol === 'classic' ? 'classic group' : 'consumer group (KIP-848)')
}

async function main() {
  const admin = new Admin(base)
  const [created] = await admin.createTopics({ topics: [topic], partitions, replicas: 1 })
  assert.equal(created.name, topic)
  feature('create topic')

  const producer = new Producer({ ...base, idempotent: true, serializers: stringSerializers })
  const produced = {}
  const ends = Array(partitions).fill(0)
  // Ten requests, since it answers with the base offset of each batch only.
  for (let first = 0; first < records; first += 10) {
    const partition = (first / 10) % partitions
    const messages = Array.from({ length: 10 }, (_, i) => ({ topic, partition, key: `key-${first + i}`, value: `value-${first + i}` }))
    const { offsets } = await producer.send({ messages })
    assert.deepEqual(offsets.map((o) => [o.topic, o.partition, Number(o.offset)]), [[topic, partition, ends[partition]]], 'acknowledged')
    messages.forEach((_, i) => { produced[`${partition}@${ends[partition] + i}`] = first + i })
    ends[partition] += messages.length
  }
  feature('idempotent produce')

  const reader = new Consumer({ ...base, groupId: `${topic}-group` })
  assert.deepEqual(numbers(await reader.listOffsets({ topics: [topic] })), ends, 'end offsets')
  assert.deepEqual(numbers(await reader.listOffsets({ topics: [topic], timestamp: -2n })), [0, 0, 0], 'first offsets')
  feature('offsets')
  await reader.close(true)

  const groupId = `${topic}-admin`
  await admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets: ends.map((n, partition) => ({ partition, offset: BigInt(n) })) }] })
  const [group] = await admin.listConsumerGroupOffsets({ groups: [groupId] })
  assert.deepEqual(group.topics[0].partitions.sort((a, b) => a.partitionIndex - b.partitionIndex).map((p) => Number(p.committedOffset)), ends, 'committed offsets')
  feature('commit')

  const produceOne = async () => {
    const { offsets: [{ partition, offset }] } = await producer.send({ messages: [{ topic, partition: 0, key: 'key', value: 'later' }] })
    return { partition, offset: Number(offset) }
  }
  for (const protocol of ['classic', 'consumer']) await checkGroup(protocol, ends, produced, produceOne)
  await producer.close()

  assert.ok((await admin.listGroups()).has(groupId))
  await admin.deleteGroups({ groups: [groupId] })
  await admin.deleteTopics({ topics: [topic] })
  feature('list and delete groups and topics')
  await admin.close()
  console.log(`client=platformatic-kafka version=${version} ok`)
}

main().then(() => process.exit(0), (error) => {
  console.error('FAILED:', error)
  process.exit(1)
})
