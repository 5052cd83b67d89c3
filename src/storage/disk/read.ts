import fs from 'node:fs'
import { Readable } from 'node:stream'
import type { ByteRange } from '../../upload.js'
import { StorageLost, StorageShort } from '../contract.js'
import { codeOf } from './paths.js'

/** Bytes of one read for a reader that keeps up. */
const readSize = 128 * 1024
/** Bytes that are read ahead for one that does not: they stay in memory for as long as it likes. */
const aheadSize = 64 * 1024

export interface FileRangeOptions {
  /** Bytes that the file has at least. */
  readonly expected?: number
  /** The file when none of the paths leads to one. */
  readonly last?: () => Promise<string | undefined>
}

/**
 * The bytes of `range` of the first of `paths` that exists. Unlike fs.createReadStream it errors with {@link StorageLost} when the file
 * is missing, and with {@link StorageShort}, before the first byte, when it has fewer bytes than expected.
 */
export class FileRange extends Readable {
  readonly #paths: readonly string[]
  readonly #last: () => Promise<string | undefined>
  readonly #expected: number
  readonly #end: number
  #position: number
  #fd: number | undefined
  #reading = false
  #closeAfterRead: (() => void) | undefined

  constructor (paths: readonly string[], [start, end]: ByteRange, { expected = 0, last = async () => undefined }: FileRangeOptions = {}) {
    super({ highWaterMark: aheadSize })
    this.#paths = paths
    this.#last = last
    this.#expected = expected
    this.#position = start
    this.#end = end
  }

  override _construct (callback: (error?: Error | null) => void): void {
    if (this.#position >= this.#end) return callback()
    const tryNext = ([path, ...others]: readonly string[], onNone: () => void): void => {
      if (path === undefined) return onNone()
      fs.open(path, 'r', (error, fd) => {
        if (error === null) {
          this.#fd = fd
          this.#checkSize(fd, callback)
        } else if (codeOf(error) === 'ENOENT') {
          tryNext(others, onNone)
        } else {
          callback(error)
        }
      })
    }
    const gone = (): void => callback(new StorageLost('The file is gone'))
    tryNext(this.#paths, () => {
      this.#last().then(path => { tryNext(path === undefined ? [] : [path], gone) }, callback)
    })
  }

  #checkSize (fd: number, callback: (error?: Error | null) => void): void {
    if (this.#expected === 0) return callback()
    fs.fstat(fd, (error, stats) => {
      if (error !== null) callback(error)
      else callback(stats.size < this.#expected ? new StorageShort(stats.size, this.#expected) : null)
    })
  }

  override _read (): void {
    const length = Math.min(this.readableFlowing === false ? aheadSize : readSize, this.#end - this.#position)
    if (length <= 0 || this.#fd === undefined) {
      this.push(null)
      return
    }
    this.#reading = true
    fs.read(this.#fd, Buffer.allocUnsafeSlow(length), 0, length, this.#position, (error, bytes, buffer) => {
      this.#reading = false
      if (this.#closeAfterRead !== undefined) return this.#closeAfterRead()
      if (error !== null) return this.destroy(error)
      if (bytes === 0) return this.destroy(new StorageShort(this.#position, Math.max(this.#expected, this.#end)))
      this.#position += bytes
      this.push(buffer.subarray(0, bytes))
    })
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    const fd = this.#fd
    if (fd === undefined) return callback(error)
    this.#fd = undefined
    const close = (): void => fs.close(fd, closeError => callback(error ?? closeError))
    // Closing under a read could hand it the next file that gets this number.
    if (this.#reading) this.#closeAfterRead = close
    else close()
  }
}
