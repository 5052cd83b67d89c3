import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { declareFaultTests } from './faults.js'
import { declareFinishTests, declareReadTests, declareRemoveTests } from './files.js'
import { declareAnyOffsetTests, declareConcatTests, declareWriteTests } from './writes.js'
import { declareLossTests } from './losses.js'
import { StoredUpload } from './stored-upload.js'
import type { TestFunction } from '../test-function.js'
import type { StorageCheck, StorageUnderTest } from './check.js'

export type { StorageUnderTest } from './check.js'

/**
 * Declares the tests of the storage contract with the caller's own `test` function. `make` is called once for each test
 * and gives an empty storage. The tests follow the capabilities: what a storage does not offer is not asked for.
 */
export function storageSuite (test: TestFunction, make: () => Promise<StorageUnderTest>): void {
  const check: StorageCheck = (name, run) => {
    test(name, async () => {
      const { storage, stored, truncate, dispose } = await make()
      try {
        await run(storage, async () => { assert.deepEqual(await stored?.() ?? [], []) }, truncate)
      } finally {
        await storage.close?.()
        await dispose()
      }
    })
  }

  declareCapabilityTests(check)
  declareWriteTests(check)
  declareAnyOffsetTests(check)
  declareFinishTests(check)
  declareReadTests(check)
  declareRemoveTests(check)
  declareConcatTests(check)
  declareLossTests(check)
  declareFaultTests(check)
}

function declareCapabilityTests (check: StorageCheck): void {
  check('capabilities are positive integers in order', async ({ capabilities }) => {
    const { anyOffset, minChunkSize, maxChunkSize, maxChunks, maxSize } = capabilities
    assert.equal(typeof anyOffset, 'boolean')
    for (const limit of [minChunkSize, maxChunkSize, maxChunks, maxSize]) {
      assert.ok(Number.isSafeInteger(limit) && limit >= 1, `${limit} is a limit`)
    }
    assert.ok(minChunkSize <= maxChunkSize, 'the smallest chunk is not above the largest')
  })

  for (const id of ['a', '0', '-', '_', '-rf', '__proto__', 'constructor', 'A-z_09', 'x'.repeat(64)]) {
    check(`an id may be "${id}"`, async storage => {
      const bytes = randomBytes(10)
      const stored = await StoredUpload.create(storage, { id, size: 10 })
      await stored.write(0, [[bytes]])
      await stored.finish()
      assert.deepEqual(await stored.content(), bytes)
    })
  }

  check("invariant 9: the client's own text is never part of a path", async storage => {
    const bytes = randomBytes(10)
    const stored = await StoredUpload.create(storage, {
      size: 10, filename: '../../../etc/passwd', contentType: '../x', metadata: { name: '../../y', path: '/etc/z' }, user: '../../u'
    })
    await stored.write(0, [[bytes]])
    await stored.finish()
    assert.deepEqual(await stored.content(), bytes)
    assert.doesNotMatch(stored.location, /\.\.|passwd|etc/)
  })
}
