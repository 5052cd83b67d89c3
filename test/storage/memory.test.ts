import t from 'tap'
import { memoryStorage } from '../../src/storage/memory.js'
import { newUpload } from '../../src/testing/new-upload.js'
import { storageSuite } from '../../src/testing/storage/suite.js'

storageSuite((name, run) => t.test(name, run), async () => ({ storage: memoryStorage(), dispose: async () => {} }))

t.test('an id is given once', async t => {
  const storage = memoryStorage()
  const upload = newUpload()
  await storage.create(upload)
  await t.rejects(storage.create(upload), /already there/)
})

t.test('a location that a disk would refuse is refused', async t => {
  const storage = memoryStorage()
  const upload = newUpload({ size: 0 })
  await storage.create(upload)
  const finishing = storage.finish({ ...upload, size: 0, target: '../x' })
  await t.rejects(finishing, { code: 'FST_CHUNKED_UPLOAD_LOCATION', cause: { message: '"../x"' } })
})
