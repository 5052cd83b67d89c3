import { randomBytes } from 'node:crypto'
import { type BigIntStats, statSync } from 'node:fs'
import { link, open, readdir, readFile, rename, rm, stat, utimes, writeFile, type FileHandle } from 'node:fs/promises'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeFolders } from '../../folders.js'

/** Bytes that the path of a socket may have: 104 with the final NUL on BSD and macOS, 108 on Linux. */
const LONGEST_SOCKET_PATH = 103

/** ms after which a process that is not yet a member must have died. */
const LEFTOVER_AGE = 3_600_000

/** Past generations whose markers are kept, so that a process which slept meanwhile cannot take one of them again. */
const GENERATIONS_KEPT = 8

/** A process that takes part, and where it listens: in the folder itself, or at an absolute path where that is not possible. */
export interface MemberEntry {
  readonly name: string
  readonly address: string | null
}

export interface ArbiterEntry extends MemberEntry {
  readonly generation: number
}

/**
 * The folder by which the processes find each other.
 *
 * `<name>.member` is there from when its process listens until it leaves or is found dead. `<generation>.arbiter` says who decides: it is
 * that member's file by a second name, and the highest generation counts. A new generation is made by linking the own member file to the
 * next number, which only one process can, and only after the owner of the highest was found dead. The files are empty, so that all
 * of it works on a full disk too, where locks are needed to make room. A process that slept between the two might take a number that
 * was used and removed meanwhile: so it looks once more afterwards, and gives way to any higher one. Higher ones are
 * always there before lower ones are removed, so the process that is the highest after linking is it.
 *
 * All of this holds as long as no other program removes the files. Each member keeps its own ones young, for programs that remove old
 * files, and sees whether they are still the same ones: without its member file the next arbiter would not ask it what it holds.
 */
export class Election {
  readonly name = randomBytes(12).toString('hex')
  readonly #directory: string
  #entry: MemberEntry = { name: this.name, address: null }
  /** The member file as it was written; undefined until then. */
  #mark: BigIntStats | undefined
  /** Linux reaches a folder with a long path through a descriptor of it. */
  #handle: FileHandle | undefined

  constructor (directory: string) {
    this.#directory = directory
  }

  /** Lets `server` listen, then makes this process a member. */
  async enter (server: Server): Promise<void> {
    await makeFolders(this.#directory)
    if (process.platform === 'linux' && !fits(this.pathOf(this.#entry))) this.#handle = await open(this.#directory)
    const path = this.pathOf(this.#entry)
    // Some file systems have no sockets.
    if (!fits(path) || !await listen(server, path).then(() => true, () => false)) {
      this.#entry = { name: this.name, address: join(tmpdir(), `${this.name}.sock`) }
      await listen(server, this.pathOf(this.#entry))
    }
    await this.#writeEntry(this.#entry)
    this.#mark = await stat(this.#file(`${this.name}.member`), { bigint: true })
    await this.#removeLeftovers()
  }

  /** Call it when the server listens no more. */
  async leave (): Promise<void> {
    // What cannot be removed is taken for what a dead process left.
    await this.remove(this.#entry).catch(() => {})
    await this.#handle?.close()
    this.#handle = undefined
  }

  /** False once the member file of this process, or its claim of `generation`, is no longer there: others may not know of it. */
  isIntact (generation?: number): boolean {
    return this.#isOwn(`${this.name}.member`) && (generation === undefined || this.#isOwn(`${generation}.arbiter`))
  }

  /** Keeps programs that remove old files from removing those of this process. */
  async touch (): Promise<void> {
    const now = new Date()
    // The claim is the same file.
    await utimes(this.#file(`${this.name}.member`), now, now)
    if (process.platform !== 'win32') await utimes(this.pathOf(this.#entry), now, now)
  }

  /** All members but this one; some of them may be dead. Also those of whom only the socket is left. */
  async others (): Promise<MemberEntry[]> {
    const members = (await this.#members()).filter(({ name }) => name !== this.name)
    const known = new Set([this.name, ...members.map(({ name }) => name)])
    const sockets = (await readdir(this.#directory)).filter(file => file.endsWith('.sock')).map(file => file.slice(0, -'.sock'.length))
    return [...members, ...sockets.filter(name => !known.has(name)).map(name => ({ name, address: null }))]
  }

  /** Removes what a dead member left behind. */
  async remove (entry: MemberEntry): Promise<void> {
    await rm(this.#file(`${entry.name}.member`), { force: true })
    if (process.platform !== 'win32') await rm(this.pathOf(entry), { force: true })
  }

  /** The arbiter of now, if it lives. */
  async arbiter (): Promise<ArbiterEntry | undefined> {
    for (;;) {
      const generation = await this.#highest()
      if (generation === 0) return undefined
      const inode = await this.#inodeOf(`${generation}.arbiter`)
      if (inode === undefined) continue
      for (const entry of await this.#members()) {
        if (await this.#inodeOf(`${entry.name}.member`) === inode) return { ...entry, generation }
      }
      // It has left, or was found dead.
      return { name: 'unknown', address: null, generation }
    }
  }

  /** Makes this process the arbiter of `generation`. @returns false when another one is, or will be */
  async claim (generation: number): Promise<boolean> {
    const marker = this.#file(`${generation}.arbiter`)
    try {
      await link(this.#file(`${this.name}.member`), marker)
    } catch (cause) {
      if (hasCode(cause, 'EEXIST')) return false
      throw cause
    }
    const generations = await this.#generations()
    if (Math.max(...generations) > generation) {
      await rm(marker, { force: true })
      return false
    }
    for (const past of generations) {
      if (past <= generation - GENERATIONS_KEPT) await rm(this.#file(`${past}.arbiter`), { force: true })
    }
    return true
  }

  /** Where the member listens. */
  pathOf ({ name, address }: MemberEntry): string {
    if (process.platform === 'win32') return `\\\\.\\pipe\\fastify-chunked-upload-${name}`
    if (address !== null) return address
    return this.#handle === undefined ? this.#file(`${name}.sock`) : `/proc/self/fd/${this.#handle.fd}/${name}.sock`
  }

  /** Removes what processes left that died before they were members. */
  async #removeLeftovers (): Promise<void> {
    const files = await readdir(this.#directory)
    for (const file of files) {
      const [, name] = /^([0-9a-f]+)\.(?:sock|new)$/.exec(file) ?? []
      if (name === undefined || files.includes(`${name}.member`)) continue
      const found = await unlessGone(stat(this.#file(file)))
      if (found !== undefined && found.mtimeMs < Date.now() - LEFTOVER_AGE) await rm(this.#file(file), { force: true })
    }
  }

  async #highest (): Promise<number> {
    return Math.max(0, ...await this.#generations())
  }

  async #generations (): Promise<number[]> {
    return (await readdir(this.#directory)).filter(name => /^\d+\.arbiter$/.test(name)).map(name => Number.parseInt(name))
  }

  async #writeEntry ({ name, address }: MemberEntry): Promise<void> {
    const file = this.#file(`${name}.member`)
    if (address === null) return await writeFile(file, '')
    const unfinished = this.#file(`${name}.new`)
    try {
      await writeFile(unfinished, address)
      await rename(unfinished, file)
    } catch (cause) {
      await rm(unfinished, { force: true })
      throw cause
    }
  }

  async #members (): Promise<MemberEntry[]> {
    const files = (await readdir(this.#directory)).filter(file => file.endsWith('.member'))
    const entries = await Promise.all(files.map(async file => {
      const address = await unlessGone(readFile(this.#file(file), 'utf8'))
      return address === undefined ? [] : [{ name: file.slice(0, -'.member'.length), address: address === '' ? null : address }]
    }))
    return entries.flat()
  }

  async #inodeOf (file: string): Promise<bigint | undefined> {
    return (await unlessGone(stat(this.#file(file), { bigint: true })))?.ino
  }

  #isOwn (file: string): boolean {
    try {
      const found = statSync(this.#file(file), { bigint: true, throwIfNoEntry: false })
      return found !== undefined && found.ino === this.#mark?.ino && found.dev === this.#mark.dev
    } catch {
      // What cannot be seen cannot be relied on.
      return false
    }
  }

  #file (name: string): string {
    return join(this.#directory, name)
  }
}

function fits (path: string): boolean {
  return Buffer.byteLength(path) <= LONGEST_SOCKET_PATH
}

function listen (server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // Exclusive: a worker of a cluster listens itself, or its primary would seem to be it after its death.
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject)
      // Without descriptors to spare a connection is not accepted: the process that asks for it tries again, and no other is concerned.
      server.on('error', () => {})
      resolve()
    })
  })
}

function hasCode (cause: unknown, code: string): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === code
}

async function unlessGone<T> (looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return undefined
    throw cause
  }
}
