import t from 'tap'
import { readUploadId, uuidOf } from '../../../src/http/fields/upload-id.js'

const ID = '0123456789abcdef0123456789abcdef'

t.test('an id is read as hex digits or as a UUID, in any case', async t => {
  for (const text of [ID, ID.toUpperCase(), uuidOf(ID), uuidOf(ID).toUpperCase()]) t.equal(readUploadId(text), ID, text)
  t.equal(uuidOf(ID), '01234567-89ab-cdef-0123-456789abcdef')
})

t.test('anything else is the id of no upload', async t => {
  for (const value of ['', ID.slice(1), `${ID}0`, ID.replace('0', 'g'), `../${ID}`, `${ID}\n`, 7, null, undefined, [ID], { id: ID }]) {
    t.equal(readUploadId(value), '', JSON.stringify(value))
  }
})
