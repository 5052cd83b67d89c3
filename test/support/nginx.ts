import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { childEnv } from './child-env.js'
import { connectSocket, once } from './deadline.js'
import { until } from './engine.js'
import { requireProgram } from './requires.js'

/**
 * A real nginx that passes everything on to a server of this process. Undefined where it is not installed: the test is skipped then, and
 * has to return.
 * @param location lines of its `location /`
 * @returns its origin
 */
export async function nginxBefore (t: Test, port: number, location: readonly string[] = []): Promise<string | undefined> {
  const program = requireProgram(t, ['nginx'], { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` })
  if (program === undefined) return undefined
  const directory = t.testdir({ temp: {} })
  // A worker of another user than ours has to get at its files.
  await chmod(directory, 0o755)
  const own = await freePort()
  const temp = await Promise.all(['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(async name => {
    await mkdir(join(directory, 'temp', name))
    return `${name}_temp_path ${join(directory, 'temp', name)};`
  }))
  const config = join(directory, 'nginx.conf')
  await writeFile(config, `
    ${process.getuid?.() === 0 ? 'user root;' : ''} worker_processes 1; daemon off;
    pid ${directory}/pid; error_log ${directory}/error.log;
    events { worker_connections 64; }
    http {
      access_log off; client_max_body_size 0; ${temp.join(' ')}
      server { listen 127.0.0.1:${own}; location / { proxy_pass http://127.0.0.1:${port}; ${location.join(' ')} } }
    }`)
  const child = spawn(program, ['-p', directory, '-c', config, '-e', join(directory, 'error.log')], { stdio: 'ignore', env: childEnv })
  t.teardown(() => stop(child))
  await until(() => answers(own))
  return `http://127.0.0.1:${own}`
}

async function stop (child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function answers (port: number): Promise<boolean> {
  return await new Promise<boolean>(resolve => {
    const socket = connectSocket(port)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => { resolve(false) })
  })
}
