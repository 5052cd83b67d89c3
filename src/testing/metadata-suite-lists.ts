import assert from 'node:assert/strict'
import type { ListQuery } from '../metadata/contract.js'
import type { Upload } from '../upload.js'
import { complete, idsOf, type MetadataCase, pick, removed, times } from './metadata-case.js'
import { newUpload } from './new-upload.js'

/** Lists: order, pages, filters. */
export const LIST_CASES: readonly MetadataCase[] = [
  ['a list holds every record in the order of ids by character code', async (a, b) => {
    const ids = ['a', 'B', 'b', 'A', '-', '_', 'aa', 'Z', 'z', '1', '10', '2']
    for (const [number, id] of ids.entries()) await pick(a, b, number).create(newUpload({ id }))
    assert.deepEqual(await idsOf(a, {}), [...ids].sort())
    assert.deepEqual((await b.list({})).uploads.map(upload => upload.id), [...ids].sort())
  }],
  ['an empty store lists nothing and gives no cursor', async a => {
    assert.deepEqual(await a.list({}), { uploads: [] })
  }],
  ['pages follow each other by cursor, without gap or repetition', async (a, b) => {
    const ids = times(24, number => `page${String(number).padStart(3, '0')}`)
    await Promise.all(ids.map(id => a.create(newUpload({ id, user: Number(id.slice(-1)) % 2 }))))
    for (const limit of [1, 5, 12, 23, 24, 25]) {
      assert.deepEqual(await idsOf(b, { limit }), ids)
      assert.deepEqual(await idsOf(b, { limit, user: 1 }), ids.filter(id => Number(id.slice(-1)) % 2 === 1))
      assert.ok((await b.list({ limit })).uploads.length <= limit)
    }
  }],
  ['a page holds 100 records when nobody says otherwise', async (a, b) => {
    await Promise.all(times(101, number => pick(a, b, number).create(newUpload())))
    const page = await a.list({})
    assert.equal(page.uploads.length, 100)
    assert.ok(page.cursor !== undefined)
    assert.equal((await b.list({ cursor: page.cursor })).uploads.length, 1)
  }],
  ['paging goes on when the record at the cursor is deleted', async (a, b) => {
    const ids = times(9, number => `id${number}`)
    for (const id of ids) await a.create(newUpload({ id }))
    const seen: string[] = []
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await b.list({ limit: 2, ...(cursor !== undefined && { cursor }) })
      for (const { id, version } of page.uploads) {
        seen.push(id)
        assert.equal(await a.delete(id, version), true)
      }
      cursor = page.cursor
    }
    assert.deepEqual(seen, ids)
  }],
  ['a list shows the newest version of each record', async (a, b) => {
    const upload = await a.create(newUpload())
    await b.list({})
    await a.update({ ...upload, version: 2, filename: 'newer' })
    assert.equal((await b.list({})).uploads[0]?.filename, 'newer')
    assert.equal((await b.list({ status: 'uploading' })).uploads[0]?.filename, 'newer')
  }],
  ['filters are obeyed, alone and together', async (a, b) => {
    const records: Upload[] = []
    for (const protocol of ['one', 'two']) {
      for (const user of [null, 'ann', 1, '1', '']) {
        for (const expiresAt of [null, 1000, 2000]) {
          const upload = newUpload({ protocol, user, expiresAt })
          records.push(upload, complete({ ...upload, id: `${upload.id}c` }), removed({ ...upload, id: `${upload.id}r` }))
          const part = { ...upload, partial: true } as const
          records.push(complete({ ...part, id: `${part.id}p` }), removed({ ...part, id: `${part.id}q` }))
        }
      }
    }
    for (const scope of [undefined, 'here', 'there']) {
      for (const internal of [undefined, true] as const) {
        const place = { ...scope !== undefined && { scope }, ...internal !== undefined && { internal } }
        records.push(newUpload({ protocol: 'one', ...place }), complete(newUpload({ user: 'ann', ...place })))
      }
    }
    await Promise.all(records.map((upload, number) => pick(a, b, number).create(upload)))
    const queries: ListQuery[] = [{}, ...combinations({
      scope: ['here'],
      internal: [true, false],
      protocol: ['one'],
      user: [null, 'ann', 1, '1', ''],
      status: ['uploading', 'complete', 'removed'],
      expiredBefore: [999, 1000, 1500]
    })]
    for (const query of queries) {
      const expected = records.filter(upload => expectedIn(upload, query)).map(upload => upload.id).sort()
      assert.deepEqual(await idsOf(b, query), expected, JSON.stringify(query))
    }
  }],
  ['a list follows the status of a record', async (a, b) => {
    const upload = await a.create(newUpload({ expiresAt: 1000 }))
    const seen = async () => {
      const found: string[] = []
      for (const status of ['uploading', 'complete', 'removed'] as const) found.push(...(await idsOf(b, { status })).map(() => status))
      return [...found, ...(await idsOf(a, { expiredBefore: 1000 })).map(() => 'expired')]
    }
    assert.deepEqual(await seen(), ['uploading', 'expired'])
    await a.update({ ...complete(upload), version: 2 })
    assert.deepEqual(await seen(), ['complete'])
    await b.update({ ...removed(upload), version: 3 })
    assert.deepEqual(await seen(), ['removed'])
    await b.update({ ...upload, version: 4 })
    assert.deepEqual(await seen(), ['uploading', 'expired'])
    await a.update({ ...upload, expiresAt: 1001, version: 5 })
    assert.deepEqual(await seen(), ['uploading'])
    await a.update({ ...upload, expiresAt: null, version: 6 })
    assert.deepEqual(await seen(), ['uploading'])
  }],
  ['a part of a file may expire when it is complete, until it is removed', async (a, b) => {
    const upload = await a.create(newUpload({ expiresAt: 1000, partial: true }))
    const expired = async (expiredBefore = 1000) => await idsOf(b, { expiredBefore })
    assert.deepEqual(await expired(), [upload.id])
    await a.update({ ...complete(upload), version: 2 })
    assert.deepEqual(await expired(), [upload.id])
    assert.deepEqual(await idsOf(a, { status: 'uploading' }), [])
    assert.deepEqual(await expired(), [upload.id])
    await b.update({ ...complete(upload), expiresAt: 2000, version: 3 })
    assert.deepEqual([await expired(), await expired(2000)], [[], [upload.id]])
    await a.update({ ...removed(upload), version: 4 })
    assert.deepEqual(await expired(), [])
    const other = await a.create(complete(newUpload({ expiresAt: 1000, partial: true })))
    await a.create(complete(newUpload({ expiresAt: 1000 })))
    assert.deepEqual(await expired(), [other.id])
    await b.delete(other.id, 1)
    assert.deepEqual(await expired(), [])
  }]
]

function expectedIn (upload: Upload, query: ListQuery): boolean {
  if (query.scope !== undefined && upload.scope !== undefined && upload.scope !== query.scope) return false
  if (query.internal !== undefined && (upload.internal === true) !== query.internal) return false
  if (query.protocol !== undefined && upload.protocol !== query.protocol) return false
  if (query.user !== undefined && upload.user !== query.user) return false
  if (query.status !== undefined && upload.status !== query.status) return false
  if (query.expiredBefore === undefined) return true
  const mayExpire = upload.status === 'uploading' || (upload.status === 'complete' && upload.partial === true)
  return mayExpire && upload.expiresAt !== null && upload.expiresAt <= query.expiredBefore
}

/** Every choice of one value, or none, for each filter. */
function combinations (values: { readonly [F in keyof ListQuery]: readonly ListQuery[F][] }): ListQuery[] {
  let queries: ListQuery[] = [{}]
  for (const [filter, options] of Object.entries(values)) {
    queries = queries.flatMap(query => [query, ...options.map(option => ({ ...query, [filter]: option }))])
  }
  return queries
}
