import t from 'tap'
import { HashQueue } from '../../../src/engine/checksum/hash-queue.js'

t.test('bodies come first, and files that are read have their turns all the same', async t => {
  const queue = new HashQueue<string>()
  queue.add('file 1', 'file')
  queue.add('file 2', 'file')
  for (let number = 1; number <= 12; number++) queue.add(`body ${number}`, 'body')
  const order = Array.from({ length: 14 }, () => queue.next())
  t.strictSame(order.slice(0, 8), [1, 2, 3, 4, 5, 6, 7, 8].map(number => `body ${number}`))
  t.strictSame(order.slice(8), ['file 1', 'body 9', 'body 10', 'body 11', 'body 12', 'file 2'])
  t.equal(queue.next(), undefined)
})

t.test('what is withdrawn has no turn', async t => {
  const queue = new HashQueue<string>()
  queue.add('body', 'body')
  queue.add('file', 'file')
  t.ok(queue.delete('body'))
  t.notOk(queue.delete('body'))
  t.equal(queue.next(), 'file')
  t.notOk(queue.delete('file'))
  queue.add('one', 'file')
  queue.add('two', 'body')
  t.strictSame(queue.clear().sort(), ['one', 'two'])
  t.equal(queue.next(), undefined)
})
