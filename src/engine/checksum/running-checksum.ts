import type * as hashWasm from 'hash-wasm'
import type { IHasher } from 'hash-wasm'
import { ChecksumUnsupported } from '../../errors.js'
import type { ChecksumState } from '../../upload.js'

type HashWasm = typeof hashWasm

/** The whole-file checksums that can be kept, by the names that Python's hashlib and the CRC catalogue use. */
const HASHERS: Readonly<Record<string, (wasm: HashWasm) => Promise<IHasher>>> = {
  md5: wasm => wasm.createMD5(),
  sha1: wasm => wasm.createSHA1(),
  sha224: wasm => wasm.createSHA224(),
  sha256: wasm => wasm.createSHA256(),
  sha384: wasm => wasm.createSHA384(),
  sha512: wasm => wasm.createSHA512(),
  sha3_256: wasm => wasm.createSHA3(256),
  sha3_512: wasm => wasm.createSHA3(512),
  blake2b: wasm => wasm.createBLAKE2b(),
  blake2s: wasm => wasm.createBLAKE2s(),
  blake3: wasm => wasm.createBLAKE3(),
  crc32: wasm => wasm.createCRC32(),
  crc32c: wasm => wasm.createCRC32(0x82F63B78),
  xxh64: wasm => wasm.createXXHash64(),
  xxh3: wasm => wasm.createXXHash3(),
  xxh128: wasm => wasm.createXXHash128()
}

export const checksumAlgorithms: readonly string[] = Object.keys(HASHERS)

export function isChecksumAlgorithm (name: string): boolean {
  return Object.hasOwn(HASHERS, name)
}

/**
 * Makes running checksums. One hasher an algorithm serves all uploads, as loading and saving its state costs about a microsecond
 * and a hasher for each upload would cost more memory than its buffers.
 */
export class Checksums {
  readonly #hashers = new Map<string, Promise<IHasher>>()

  /**
   * Goes on from a saved state, or from byte 0 with null. A state that this build cannot read starts again from 0.
   * @throws {ChecksumUnsupported}
   */
  async resume (algorithm: string, saved: ChecksumState | null): Promise<RunningChecksum> {
    const hasher = await this.#hasher(algorithm)
    if (saved !== null) {
      try {
        const state = Buffer.from(saved.state, 'base64')
        hasher.init().load(state)
        return new RunningChecksum(hasher, saved.offset, state)
      } catch {
        // Written by another build of the hash: the bytes are read again.
      }
    }
    return new RunningChecksum(hasher, 0, hasher.init().save())
  }

  #hasher (algorithm: string): Promise<IHasher> {
    let hasher = this.#hashers.get(algorithm)
    if (hasher === undefined) {
      const make = Object.hasOwn(HASHERS, algorithm) ? HASHERS[algorithm] : undefined
      if (make === undefined) throw new ChecksumUnsupported(algorithm)
      // hash-wasm takes 20 ms and 3 MiB, which a host pays with its first checksum.
      hasher = import('hash-wasm').then(make)
      this.#hashers.set(algorithm, hasher)
      // A failure is the caller's to handle, and the next call tries again.
      hasher.catch(() => { this.#hashers.delete(algorithm) })
    }
    return hasher
  }
}

/** The checksum of the bytes from 0 to `offset`, growing. Synchronous between its calls, so that uploads can share a hasher. */
export class RunningChecksum {
  readonly #hasher: IHasher
  #state: Uint8Array
  #offset: number

  constructor (hasher: IHasher, offset: number, state: Uint8Array) {
    this.#hasher = hasher
    this.#offset = offset
    this.#state = state
  }

  get offset (): number {
    return this.#offset
  }

  /** Takes the bytes that follow `offset`. */
  update (batch: readonly Uint8Array[]): void {
    this.#hasher.load(this.#state)
    for (const bytes of batch) {
      this.#hasher.update(bytes)
      this.#offset += bytes.length
    }
    this.#state = this.#hasher.save()
  }

  /** Goes on from a state that {@link save} returned elsewhere, in the same version of the hash. */
  goTo ({ offset, state }: ChecksumState): void {
    this.#state = Buffer.from(state, 'base64')
    this.#offset = offset
  }

  save (): ChecksumState {
    return { offset: this.#offset, state: Buffer.from(this.#state).toString('base64') }
  }

  /** The checksum of the bytes so far, lower-case hex. */
  digest (): string {
    return this.#hasher.load(this.#state).digest('hex')
  }
}
