import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'
import { endOf } from './child.js'

/**
 * The path of the first of `names` that is installed. When none is, the test fails in CI, and is skipped loudly elsewhere:
 * then the answer is undefined and the test has to return.
 *
 * ```ts
 * const chromium = requireProgram(t, ['chromium', 'google-chrome'])
 * if (chromium === undefined) return
 * ```
 */
export function requireProgram (
  t: Pick<Test, 'plan'>, names: readonly string[], env: NodeJS.ProcessEnv = process.env
): string | undefined {
  for (const name of names) {
    for (const folder of (env.PATH ?? '').split(delimiter)) {
      if (isExecutable(join(folder, name))) return join(folder, name)
    }
  }
  skip(t, `needs ${names.join(' or ')}, which is not installed`, env)
  return undefined
}

/**
 * A command in front of another one, which may then mount an ext4 image by a loop device in a namespace of its own. Where that is not
 * possible (no root, no loop devices), the test fails in CI, and is skipped loudly elsewhere, as with {@link requireProgram}.
 * @param directory for a trial, which leaves something in it
 */
export function requireExt4 (
  t: Pick<Test, 'plan'>, directory: string, env: NodeJS.ProcessEnv = process.env
): readonly [string, ...string[]] | undefined {
  const trial = 'cd "$0" && mkdir at && truncate -s 4M image && mkfs.ext4 -q -F image && mount -o loop image at && umount at'
  const shell = ['unshare', '--mount'] as const
  if (endOf(shell[0], [...shell.slice(1), 'sh', '-c', trial, directory], { env }).status === 0) return shell
  skip(t, 'needs to mount ext4 images: root, loop devices and mkfs.ext4', env)
  return undefined
}

function skip (t: Pick<Test, 'plan'>, reason: string, env: NodeJS.ProcessEnv): void {
  if (isCi(env)) throw new Error(`This test ${reason}`)
  t.plan(0, reason)
  console.error(`SKIPPED: this test ${reason}`)
}

function isCi (env: NodeJS.ProcessEnv): boolean {
  return env.CI !== undefined && !['', '0', 'false'].includes(env.CI)
}

function isExecutable (path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
