import { Checksum, Unreadable } from './checksum.js'
import { formatName } from './format.js'
import { Refused } from './request.js'
import { backoff, disagrees, nap, passes } from './retry.js'
import { fingerprint } from './store.js'

/** Small, so that the upload has an id soon: what is sent before that is lost with the connection. */
const FIRST_CHUNK = 256 * 1024
const CHUNK = 8 * 1024 * 1024
/** Tries in a row without a byte of progress, where the server answers but does not agree. */
const MOST_DISAGREEMENTS = 6

/**
 * One file on its way to the server. Fires 'change'; `state` is one of
 *
 * - `detached`: known from before a reload; the file itself has to be handed over by `attach`
 * - `queued`: other uploads go first · `hashing`: the protocol wants the checksum first · `sending` · `checking`: all is sent, checksums are compared
 * - `waiting`: the server is away or busy; tries again by itself at `retryAt`
 * - `paused`: by the user · `failed`: `error` says why · `done` · `cancelled`
 */
export class Upload extends EventTarget {
  state = 'detached'
  /** Why it waits, failed or is detached; null otherwise. */
  error = null
  /** Milliseconds since 1970; null while a try is under way. */
  retryAt = null
  file = null
  /** Bytes that the server has confirmed. */
  offset
  /** Those, and the bytes on their way. */
  sent
  /** The server refused the finished file: going on is no use, the next start sends everything again. */
  spoiled = false
  #entry
  #protocol
  #store
  #slots
  #run = null
  #creating = null
  #checksum = null
  #wake = null

  /** `entry`: what the store remembered, or the new file. `protocol`: its name, and the client that speaks it. */
  constructor (entry, { protocol, store, slots }) {
    super()
    const { name, size, lastModified, id = null, offset = 0, paused = false, addedAt = Date.now(), handle = null } = entry
    this.#entry = { key: fingerprint(entry), name, size, lastModified, id, offset, paused, addedAt, handle, protocol: protocol.name }
    this.#protocol = protocol.client
    this.#store = store
    this.#slots = slots
    this.offset = this.sent = offset
  }

  get key () { return this.#entry.key }
  /** To look at; the server gets the file's own. */
  get name () { return formatName(this.#entry.name) }
  get size () { return this.#entry.size }
  /** FileSystemFileHandle; null where the browser has none. */
  get handle () { return this.#entry.handle }
  /** The user paused it, perhaps before a reload. */
  get paused () { return this.#entry.paused }

  /** Hands over the file, and how to open it again after a reload. */
  attach (file, handle = null) {
    this.file = file
    if (handle !== null) this.#entry.handle = handle
  }

  /** Starts or goes on. While it waits for the server, it tries at once; while it runs, nothing happens. */
  start () {
    if (this.#run !== null) return this.#wake?.()
    if (this.file === null) return
    this.#run = new AbortController()
    this.#entry.paused = false
    this.#show('queued')
    this.#work(this.#run.signal)
  }

  pause () {
    this.#entry.paused = true
    this.#stop('paused')
    this.#remember()
  }

  /** Gives up. The server is told, if it can be reached; if not, it forgets the upload in its own time. */
  async cancel () {
    this.#stop('cancelled')
    this.#closeChecksum()
    await this.#store.delete(this.key)
    await this.#creating?.catch(() => {})
    if (this.#entry.id !== null) await this.#protocol.remove(this.#entry.id).catch(() => {})
  }

  /** After a reload: asks the server how far it is. Resolves with true when it has the whole file. */
  async check () {
    if (this.#entry.id === null) return false
    try {
      if (await this.#resync()) {
        await this.#store.delete(this.key)
        return true
      }
    } catch (error) {
      console.warn(error)
    }
    return false
  }

  async #work (signal) {
    let release
    try {
      release = await this.#slots.take(signal)
      await this.#remember()
      await this.#persist(signal)
      this.#closeChecksum()
      await this.#store.delete(this.key)
      this.#show('done')
    } catch (error) {
      if (!signal.aborted) this.#fail(error)
    } finally {
      release?.()
      if (!signal.aborted) this.#run = null
    }
  }

  /** Transfers, and after every setback again, until it is done or hopeless. */
  async #persist (signal) {
    for (let setbacks = 0; ; setbacks++) {
      const before = this.offset
      try {
        return await this.#transfer(signal)
      } catch (error) {
        signal.throwIfAborted()
        await this.#ensureReadable()
        if (this.offset > before) setbacks = 0
        const disagreement = disagrees(error)
        if (!disagreement && !passes(error)) throw error
        if (disagreement && setbacks >= MOST_DISAGREEMENTS) throw error
        if (disagreement && setbacks === 0) continue
        await this.#wait(error, backoff(setbacks, error), signal)
      }
    }
  }

  /** From where the server is, to the end. */
  async #transfer (signal) {
    if (this.spoiled) await this.#startOver()
    if (this.#entry.id !== null && await this.#resync(signal)) return
    const { checksum: when, chunkSize = CHUNK } = this.#protocol
    if (when !== undefined) this.#checksum ??= new Checksum(this.file)
    if (this.#entry.id === null) {
      const checksum = when === 'first' ? await this.#digest('hashing', signal) : undefined
      if (this.state === 'queued' || this.state === 'hashing') this.#show('sending')
      this.#creating ??= this.#create(checksum).finally(() => { this.#creating = null })
      const complete = await this.#creating
      signal.throwIfAborted()
      if (complete) return
    }
    while (this.offset < this.size) {
      const start = this.offset
      const end = Math.min(start + chunkSize, this.size)
      this.#checksum?.upTo(end)
      const onProgress = this.#progressFrom(start, signal)
      const onStored = this.#storedIn(signal)
      this.#confirm(await this.#protocol.append(this.#entry.id, this.file, start, end, { signal, onProgress, onStored }))
      signal.throwIfAborted()
    }
    if (when === 'first') this.#show('checking')
    const checksum = when === 'last' ? await this.#digest('checking', signal) : undefined
    try {
      await this.#protocol.complete(this.#entry.id, checksum, { signal })
    } catch (error) {
      this.spoiled = error instanceof Refused && error.status === 400 && !disagrees(error)
      throw error
    }
  }

  /** Never aborted: the id would be lost, and the server left with an upload that no client knows. */
  async #create (checksum) {
    const end = Math.min(FIRST_CHUNK, this.size)
    this.#checksum?.upTo(end)
    const { id, offset, complete = false } = await this.#protocol.create(this.file, end, { checksum })
    this.#entry.id = id
    this.#confirm(offset)
    return complete
  }

  async #digest (state, signal) {
    this.#show(state)
    const checksum = await this.#checksum.digest()
    signal.throwIfAborted()
    return checksum
  }

  /** True when the server has the whole, checked file. */
  async #resync (signal) {
    const found = await this.#protocol.find(this.#entry.id, { signal })
    if (found?.complete) return true
    if (found === null) this.#entry.id = null
    this.#confirm(found?.offset ?? 0)
    return false
  }

  async #startOver () {
    if (this.#entry.id !== null) await this.#protocol.remove(this.#entry.id).catch(() => {})
    this.#entry.id = null
    this.offset = this.sent = 0
    this.#closeChecksum()
    this.spoiled = false
  }

  /** A browser tells a file that cannot be read from a server that is away in no way but this. */
  async #ensureReadable () {
    try {
      await this.file.slice(0, 1).arrayBuffer()
    } catch {
      throw new Unreadable()
    }
  }

  async #wait (error, milliseconds, signal) {
    this.retryAt = Date.now() + milliseconds
    this.sent = this.offset
    this.#show('waiting', error)
    const { wake, over } = nap(milliseconds, signal)
    this.#wake = wake
    await over
    this.#wake = null
    this.retryAt = null
    signal.throwIfAborted()
    this.#changed()
  }

  #stop (state) {
    this.#run?.abort(new DOMException(`The upload is ${state}`, 'AbortError'))
    this.#run = null
    this.sent = this.offset
    this.#show(state)
  }

  #fail (error) {
    this.sent = this.offset
    this.#closeChecksum()
    if (error instanceof Unreadable) {
      this.file = null
      this.#entry.handle = null
      this.#show('detached', error)
    } else {
      console.warn(error)
      this.#show('failed', error)
    }
  }

  #confirm (offset) {
    this.offset = this.#entry.offset = this.sent = offset
    this.#remember()
    if (this.state === 'queued' || this.state === 'waiting') this.#show('sending')
    else this.#changed()
  }

  /** For protocols that send several chunks in one call: bytes that are stored already. */
  #storedIn (signal) {
    return offset => {
      if (signal.aborted) return
      this.offset = this.#entry.offset = offset
      this.#remember()
    }
  }

  #progressFrom (start, signal) {
    return loaded => {
      if (signal.aborted) return
      this.sent = Math.min(start + loaded, this.size)
      this.#changed()
    }
  }

  async #remember () {
    if (this.state !== 'done' && this.state !== 'cancelled') await this.#store.put(this.#entry)
  }

  #closeChecksum () {
    this.#checksum?.close()
    this.#checksum = null
  }

  #show (state, error = null) {
    this.state = state
    this.error = error
    this.#changed()
  }

  #changed () {
    this.dispatchEvent(new Event('change'))
  }
}
