import type { Storage } from '../../storage/contract.js'
import type { Upload } from '../../upload.js'

/** A storage for one test, and how to take it down again. */
export interface StorageUnderTest {
  readonly storage: Storage
  /** Names of everything that is stored at this moment; with it the tests see that a removal leaves nothing behind. */
  stored?(): Promise<readonly string[]>
  /**
   * Cuts the stored bytes of an upload to `size` ones without the storage's knowledge, as a truncation or a power cut does; with it the
   * tests see that nothing is written after bytes that are lost, finished or read without them.
   */
  truncate?(upload: Upload, size: number): Promise<void>
  dispose (): Promise<void> | void
}

/** Declares one test that gets a storage of its own. */
export type StorageCheck = (name: string, run: (
  storage: Storage, assertEmpty: () => Promise<void>, truncate: StorageUnderTest['truncate']
) => Promise<void>) => void
