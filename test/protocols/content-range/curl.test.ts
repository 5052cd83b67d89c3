import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { run } from '../../support/child.js'
import { serve } from '../../support/content-range.js'
import { requireProgram } from '../../support/requires.js'

t.test('curl alone uploads a file in chunks, completes it and has it back', async t => {
  const program = requireProgram(t, ['curl'])
  if (program === undefined) return
  const server = await serve(t, {}, { maxBytes: null, downloads: true })
  const directory = t.testdir()
  const bytes = randomBytes(2_500_000)
  const curl = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
    const { stdout } = await run(program, ['-sS', '--fail-with-body', ...args])
    return stdout === '' ? {} : JSON.parse(stdout)
  }

  let url = `${server.url}/uploads/`
  for (let start = 0; start < bytes.length; start += 1_000_000) {
    const part = bytes.subarray(start, start + 1_000_000)
    writeFileSync(`${directory}/part`, part)
    const range = `Content-Range: bytes ${start}-${start + part.length - 1}/${bytes.length}`
    const record = await curl('-X', 'PUT', '-F', `file=@${directory}/part;filename=film.mp4`, '-H', range, url)
    t.match(record, { offset: start + part.length, filename: 'film.mp4' })
    url = String(record['url'])
  }
  const done = await curl('-d', `md5=${createHash('md5').update(bytes).digest('hex')}`, url)
  t.match(done, { status: 2, url, file: `${url}/file` })
  await curl('-o', `${directory}/copy`, `${url}/file`)
  t.ok(readFileSync(`${directory}/copy`).equals(bytes))
})
