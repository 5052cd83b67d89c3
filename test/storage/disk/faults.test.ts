import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { diskStorage } from '../../../src/storage/disk/index.js'
import { endOf, runSync } from '../../support/child.js'
import { childEnv } from '../../support/child-env.js'
import { once } from '../../support/deadline.js'
import { nodeCommand, startProgram } from '../../support/program.js'
import { patternAt } from '../../support/storage/pattern.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../../support/storage/${name}.ts`, import.meta.url))

for (const durability of ['process', 'disk'] as const) {
  t.test(`invariant 1: what was confirmed is there after kill -9 (durability ${durability})`, async t => {
    const directory = t.testdir()
    const child = startProgram(fixture('endless-writer'), [directory, durability])
    const exited = once(child, 'exit')
    const lines: string[] = []
    for await (const line of createInterface(child.stdout)) {
      lines.push(line)
      if (lines.length === (durability === 'process' ? 30 : 2)) child.kill('SIGKILL')
    }
    t.equal((await exited)[1], 'SIGKILL')
    const [record = '', ...confirmed] = lines
    const end = Number(confirmed.at(-1))
    const path = diskStorage({ directory }).localPath?.(JSON.parse(record)) ?? ''
    t.ok(end > 0)
    t.ok(readFileSync(path).subarray(0, end).equals(patternAt(0, end)), `${end} bytes`)
  })
}

/** A command that may mount: as root, or as root of a user namespace; undefined where neither is allowed. */
function mountingShell (): string[] | undefined {
  return [['unshare', '--mount'], ['unshare', '--user', '--map-root-user', '--mount']]
    .find(([command = '', ...args]) => endOf(command, [...args, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0)
}

t.test('a full disk confirms what it holds, keeps the error of the system, and the upload resumes when there is room', async t => {
  const directory = t.testdir({ small: {} })
  const shell = mountingShell()
  const [command, ...args] = nodeCommand(fixture('small-disk'), [shell === undefined ? 'limit' : 'mount', directory], {
    // 2048 blocks of 512 bytes: the file may not grow beyond 1 MiB.
    shell: shell ?? ['sh', '-c', 'ulimit -f 2048 && exec "$@"', 'sh']
  })
  const { full, across } = JSON.parse(runSync(command, args, { env: childEnv }))
  for (const { code, confirmed, content } of full) {
    t.equal(code, shell === undefined ? 'EFBIG' : 'ENOSPC')
    // The last page of a tmpfs and its own records take a little.
    t.ok(confirmed > 900_000 && confirmed <= 1024 * 1024, `${confirmed} bytes were confirmed`)
    t.ok(content)
  }
  for (const { locations, left } of across) {
    t.strictSame(locations, ['small/videos/a.bin', 'small/videos/a-1.bin'], 'a finish across devices copies, and overwrites nothing')
    t.strictSame(left, ['videos', 'videos/a.bin'])
  }
})
