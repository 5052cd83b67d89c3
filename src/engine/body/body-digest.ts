import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { ChecksumMismatch } from '../../errors.js'

/** A checksum of one request's body, known before it or only after its last byte (a trailer). */
export interface BodyDigest {
  readonly algorithm: BodyDigestAlgorithm | BodyHash
  /** Asked after the last byte; undefined means that none was sent after all. May throw to refuse the body. */
  expected (): Uint8Array | undefined
}

export type BodyDigestAlgorithm = 'md5' | 'sha1' | 'sha256' | 'sha512' | 'crc32'

/** Algorithms that a single body can be checked with, and the length of their digests in bytes. */
export const bodyDigestLengths: Readonly<Record<BodyDigestAlgorithm, number>> = { md5: 16, sha1: 20, sha256: 32, sha512: 64, crc32: 4 }

/** An algorithm that the host brings along. */
export interface BodyHash {
  readonly name: string
  /** Length of its digests in bytes. */
  readonly length: number
  readonly create: () => RunningHash
}

export interface RunningHash {
  update (bytes: Uint8Array): void
  digest (): Uint8Array
}

function start (algorithm: BodyDigestAlgorithm | BodyHash): RunningHash {
  if (typeof algorithm === 'object') return algorithm.create()
  if (algorithm !== 'crc32') {
    const hash = createHash(algorithm)
    return { update: bytes => { hash.update(bytes) }, digest: () => hash.digest() }
  }
  let sum = 0
  return {
    update: bytes => { sum = crc32(bytes, sum) },
    digest: () => {
      const digest = Buffer.alloc(4)
      digest.writeUInt32BE(sum)
      return digest
    }
  }
}

/** Checks a body against the digests that came with it. */
export class BodyVerifier {
  readonly #checks: ReadonlyArray<{ readonly digest: BodyDigest, readonly running: RunningHash }>

  constructor (digests: readonly BodyDigest[]) {
    this.#checks = digests.map(digest => ({ digest, running: start(digest.algorithm) }))
  }

  update (batch: readonly Uint8Array[]): void {
    for (const { running } of this.#checks) {
      for (const bytes of batch) running.update(bytes)
    }
  }

  /** @throws {ChecksumMismatch} */
  check (): void {
    for (const { digest, running } of this.#checks) {
      const expected = digest.expected()
      if (expected !== undefined && Buffer.compare(running.digest(), expected) !== 0) {
        throw new ChecksumMismatch(typeof digest.algorithm === 'object' ? digest.algorithm.name : digest.algorithm)
      }
    }
  }
}
