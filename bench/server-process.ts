import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { PeerKind } from './peer.js'

export interface Usage {
  readonly cpuSeconds: number
  /** Largest resident set since the start. */
  readonly peakMiB: number
  readonly rssMiB: number
}

/** A peer of the benchmark, running. */
export interface Peer {
  readonly port: number
  usage (): Promise<Usage>
  /** Removes the large files of finished rounds. */
  empty (): Promise<void>
  stop (): Promise<void>
}

const root = process.env.BENCH_DIR ?? tmpdir()

export async function startPeer (kind: PeerKind): Promise<Peer> {
  const directory = await mkdtemp(join(root, 'bench-'))
  const child = fork(fileURLToPath(new URL('./peer.ts', import.meta.url)), [kind, directory], {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, TSX_TSCONFIG_PATH: fileURLToPath(new URL('./tsconfig.json', import.meta.url)) }
  })
  const [{ port }] = await once(child, 'message') as [{ port: number }]
  return {
    port,
    async usage () {
      child.send('usage')
      const [usage] = await once(child, 'message') as [Usage]
      return usage
    },
    empty: () => emptyFiles(directory),
    async stop () { await end(child, directory) }
  }
}

/** nginx with its WebDAV PUT, as Debian ships it; undefined when it is not installed. */
export async function startNginx (): Promise<Peer | undefined> {
  const program = ['/usr/sbin/nginx', '/usr/bin/nginx'].find(path => existsSync(path))
  if (program === undefined) return undefined
  const directory = await mkdtemp(join(root, 'bench-'))
  const port = await freePort()
  for (const folder of ['files', 'body']) await mkdir(join(directory, folder), { mode: 0o777 })
  await writeFile(join(directory, 'nginx.conf'), `
    ${process.getuid?.() === 0 ? 'user root;' : ''} worker_processes 1; daemon off; pid ${directory}/pid; error_log ${directory}/error.log;
    events { worker_connections 512; }
    http {
      access_log off; client_max_body_size 0; client_body_temp_path ${directory}/body;
      server { listen 127.0.0.1:${port}; location / { root ${directory}/files; dav_methods PUT DELETE; } }
    }`)
  const child = spawn(program, ['-p', directory, '-c', join(directory, 'nginx.conf')], { stdio: 'ignore' })
  while (!await answers(port)) await sleep(50)
  return {
    port,
    async usage () {
      const workers = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim().split(' ')
      let ticks = 0
      for (const pid of workers) {
        const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ')
        ticks += Number(fields[11]) + Number(fields[12])
      }
      return { cpuSeconds: ticks / 100, peakMiB: NaN, rssMiB: NaN }
    },
    empty: () => emptyFiles(directory),
    async stop () { await end(child, directory) }
  }
}

/** Cuts files of a MiB and more to nothing: the servers keep their names. */
async function emptyFiles (directory: string): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && (await stat(path)).size >= 2 ** 20) await truncate(path)
  }
}

async function end (child: ChildProcess, directory: string): Promise<void> {
  const gone = once(child, 'exit')
  child.kill()
  await gone
  await rm(directory, { recursive: true, force: true })
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function answers (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
