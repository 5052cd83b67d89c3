import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** Of the repository: packages are found from here, and packed here. */
const cwd = new URL('..', import.meta.url)

export interface Weight {
  /** Until the package is imported, after Fastify. */
  readonly importMs: number
  /** What the process has grown by with it. */
  readonly mib: number
}

/** What a host pays for an import, each round in a process of its own: the least of several rounds. */
export async function weightOf (statements: string, rounds: number): Promise<Weight> {
  const script = `
    await import('fastify')
    globalThis.gc()
    const [start, before] = [performance.now(), process.memoryUsage().rss]
    ${statements}
    const importMs = performance.now() - start
    globalThis.gc()
    console.log(JSON.stringify({ importMs, mib: (process.memoryUsage().rss - before) / 2 ** 20 }))`
  let [importMs, mib] = [Infinity, Infinity]
  for (let round = 0; round < rounds; round++) {
    const { stdout } = await run(process.execPath, ['--expose-gc', '--input-type=module', '--eval', script], { cwd })
    const weight: Weight = JSON.parse(stdout)
    importMs = Math.min(importMs, weight.importMs)
    mib = Math.min(mib, weight.mib)
  }
  return { importMs, mib }
}

/** Size in kB of what `npm pack` makes of the repository. */
export async function packedSize (): Promise<number> {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd, maxBuffer: 2 ** 26 })
  const [{ size }] = JSON.parse(stdout) as [{ readonly size: number }]
  return size / 1000
}
