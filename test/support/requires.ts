import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'

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
  const reason = `needs ${names.join(' or ')}, which is not installed`
  if (isCi(env)) throw new Error(`This test ${reason}`)
  t.plan(0, reason)
  console.error(`SKIPPED: this test ${reason}`)
  return undefined
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
