import fc from 'fast-check'
import t from 'tap'
import { BATCH_BYTES, BatchBuffer, BufferPool } from '../../../src/engine/body/batch-buffer.js'

const KIB = 1024

t.test('a batch holds the bytes in their order, whatever the sizes of the pieces', t => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 300 * KIB }), { minLength: 1, maxLength: 30 }), sizes => {
    const batches = new BatchBuffer(new BufferPool())
    const pieces = sizes.map((size, index) => Buffer.alloc(size, index + 1))
    for (const piece of pieces) batches.add(piece)
    const batch = Buffer.concat(batches.take())
    return batches.bytes === 0 && batch.equals(Buffer.concat(pieces))
  }), { numRuns: 50 })
  t.end()
})

t.test('a slow body owns no block: its own buffers are handed on', t => {
  const buffers = new BufferPool()
  const batches = new BatchBuffer(buffers)
  const pieces = [Buffer.alloc(64 * KIB, 1), Buffer.alloc(64 * KIB, 2)]
  for (const piece of pieces) batches.add(piece)
  t.strictSame(batches.take().map((buffer, index) => buffer === pieces[index]), [true, true])
  t.end()
})

t.test('a block is used again once its bytes are released, and not before', t => {
  const buffers = new BufferPool()
  const batches = new BatchBuffer(buffers)
  const fill = (byte: number): Uint8Array => {
    for (let bytes = 0; bytes < BATCH_BYTES; bytes += 64 * KIB) batches.add(Buffer.alloc(64 * KIB, byte))
    const [block] = batches.take()
    if (block === undefined) throw new Error('a full batch has a block')
    return block
  }
  const first = fill(1)
  const second = fill(2)
  t.not(first.buffer, second.buffer, 'the first one is still lent')
  batches.release(BATCH_BYTES - 1)
  t.not(fill(3).buffer, first.buffer, 'a part of it is no reason to take it')
  batches.release(BATCH_BYTES)
  t.equal(fill(4).buffer, first.buffer)
  t.ok(Buffer.from(second).equals(Buffer.alloc(BATCH_BYTES, 2)), 'what is lent stays as it was')
  t.end()
})

t.test('a dropped batch is forgotten, and its block is free', t => {
  const buffers = new BufferPool()
  const batches = new BatchBuffer(buffers)
  for (let piece = 0; piece < 8; piece++) batches.add(Buffer.alloc(64 * KIB))
  batches.drop()
  t.equal(batches.bytes, 0)
  t.strictSame(batches.take(), [])
  const known = buffers.take()
  buffers.give(known)
  t.equal(buffers.take(), known)
  t.end()
})
