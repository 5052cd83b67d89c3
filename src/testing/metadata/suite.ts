import type { Metadata } from '../../metadata/contract.js'
import { LIST_CASES } from './lists.js'
import { LOOKUP_CASES } from './lookups.js'
import { RECORD_CASES } from './records.js'
import type { TestFunction } from '../test-function.js'

/** What {@link metadataSuite} tests: fresh and empty for each test. */
export interface MetadataUnderTest {
  readonly metadata: Metadata
  /** Opens a second instance on the same records, as a second server would; `dispose` ends it too. */
  another?(): Promise<Metadata>
  dispose(): Promise<void> | void
}

/**
 * The contract of {@link Metadata}, sentence by sentence, each test declared through `test`. Where `another` is given, every
 * test does all once more with its calls spread over two instances.
 */
export function metadataSuite (test: TestFunction, make: () => Promise<MetadataUnderTest>): void {
  for (const [name, run] of [...RECORD_CASES, ...LOOKUP_CASES, ...LIST_CASES]) {
    test(`metadata: ${name}`, async () => {
      const several = await withMetadata(make, async subject => {
        await run(subject.metadata, subject.metadata)
        return subject.another !== undefined
      })
      if (!several) return
      await withMetadata(make, async subject => {
        if (subject.another !== undefined) await run(subject.metadata, await subject.another())
      })
    })
  }
}

async function withMetadata<T> (make: () => Promise<MetadataUnderTest>, run: (subject: MetadataUnderTest) => Promise<T>): Promise<T> {
  const subject = await make()
  try {
    return await run(subject)
  } finally {
    await subject.dispose()
  }
}
