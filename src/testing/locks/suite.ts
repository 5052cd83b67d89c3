import type { Locks } from '../../locks/contract.js'
import { PATIENCE } from './contender.js'
import { CLAIM_CASES } from './claims.js'
import { HOLDING_CASES } from './holding.js'
import { WAITING_CASES } from './waiting.js'
import type { TestFunction } from '../test-function.js'

/** What {@link lockSuite} tests: fresh for each test. */
export interface LocksUnderTest {
  readonly locks: Locks
  /** Opens a second instance on the same keys, as a second server would; `dispose` ends it too. */
  another?(): Promise<Locks>
  dispose(): Promise<void> | void
}

/**
 * The contract of {@link Locks}, sentence by sentence, each test declared through `test`. Where `another` is given, every
 * test does all once more with its requests spread over two instances.
 */
export function lockSuite (test: TestFunction, make: () => Promise<LocksUnderTest>): void {
  for (const [name, run] of [...HOLDING_CASES, ...CLAIM_CASES, ...WAITING_CASES]) {
    test(`locks: ${name}`, async () => {
      let several = false
      await withLocks(make, async subject => {
        several = subject.another !== undefined
        await run(subject.locks, subject.locks)
      })
      if (!several) return
      await withLocks(make, async subject => {
        if (subject.another !== undefined) await run(subject.locks, await subject.another())
      })
    })
  }
}

async function withLocks (
  make: () => Promise<LocksUnderTest>, run: (subject: LocksUnderTest) => Promise<void>
): Promise<void> {
  const subject = await make()
  let overdue: NodeJS.Timeout | undefined
  try {
    // The timer also keeps the process alive, which waiting for a lock need not do.
    const patience = new Promise<never>((_resolve, reject) => {
      overdue = setTimeout(() => reject(new Error('a lock was not granted, or a claim was not passed on')), PATIENCE)
    })
    await Promise.race([run(subject), patience])
  } finally {
    clearTimeout(overdue)
    await subject.dispose()
  }
}
