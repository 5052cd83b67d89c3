import assert from 'node:assert/strict'
import type { ListOrder, ListQuery } from '../../metadata/contract.js'
import type { CompleteUpload, Upload, UploadingUpload, UploadPhase } from '../../upload.js'
import { complete, idsOf, type MetadataCase, pick, removed, times } from './case.js'
import { newUpload } from '../new-upload.js'

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
  ['finished files that are not known to be on the disk are listed until they are', async (a, b) => {
    const epoch = 'boot'
    const unsynced = [complete(newUpload({ epoch })), complete(newUpload({ epoch, user: 'ann' }))]
    const others = [
      newUpload({ epoch }), complete(newUpload()), { ...complete(newUpload()), synced: true } as const,
      complete({ ...newUpload({ epoch }), partial: true }), removed(newUpload({ epoch }))
    ]
    await Promise.all([...unsynced, ...others].map((upload, number) => pick(a, b, number).create(upload)))
    const coming = newUpload({ epoch })
    await a.create(coming)
    const finished = { ...complete(coming), version: coming.version + 1 }
    assert.equal(await b.update(finished), true)
    const expected = [...unsynced, finished].map(({ id }) => id).sort()
    assert.deepEqual(await idsOf(a, { unsynced: true }), expected)
    assert.deepEqual(await idsOf(b, { unsynced: true, status: 'complete', user: 'ann' }), unsynced.slice(1).map(({ id }) => id))
    assert.deepEqual((await idsOf(b, { unsynced: true, order: { by: 'created', descending: false }, limit: 2 })).sort(), expected)
    const { epoch: _, ...known } = finished
    assert.equal(await a.update({ ...known, version: finished.version + 1, synced: true }), true)
    assert.deepEqual(await idsOf(b, { unsynced: true }), unsynced.map(({ id }) => id).sort())
  }],
  ['a list comes in the order asked for, page by page, and may begin at any place', async (a, b) => {
    const records: Upload[] = []
    for (const [number, filename] of ['b', 'a', 'ab', 'ö', 'B', 'b'].entries()) {
      const upload = newUpload({
        filename, user: number % 3, createdAt: 100 - number, updatedAt: 500 + 7 * number % 4, size: [3, null, 3, 12, 100, 1][number] ?? 0
      })
      const done: CompleteUpload = { ...complete({ ...upload, id: `${upload.id}c` }), completedAt: 400 + 5 * number % 7 }
      records.push(upload, done, { ...removed({ ...upload, id: `${upload.id}r` }), removedAt: 450 + number } as Upload)
    }
    await Promise.all(records.map((upload, number) => pick(a, b, number).create(upload)))
    for (const by of ['activity', 'created', 'filename', 'size'] as const) {
      for (const descending of [true, false]) {
        for (const filter of [{}, { user: 1 }, { status: 'complete' }, { user: 2, status: 'uploading' }] as const) {
          const expected = records.filter(upload => expectedIn(upload, filter)).sort((one, other) => compare(one, other, by))
            .map(({ id }) => id)
          if (descending) expected.reverse()
          const query = { ...filter, order: { by, descending } }
          for (const limit of [1, 4, 100]) {
            assert.deepEqual(await idsOf(b, { ...query, limit }), expected, JSON.stringify({ ...query, limit }))
          }
          const { uploads } = await a.list({ ...query, offset: 2, limit: 3 })
          assert.deepEqual(uploads.map(({ id }) => id), expected.slice(2, 5))
        }
      }
    }
  }],
  ['phases tell unfinished uploads by their time, and removed ones by the reason', async (a, b) => {
    const { records, ids } = phaseRecords()
    await Promise.all(records.map((upload, number) => pick(a, b, number).create(upload)))
    for (const order of [undefined, { by: 'created', descending: false }] as const) {
      const listed = async (...phases: UploadPhase[]): Promise<string[]> => {
        return (await idsOf(b, { phases, now: 1000, ...order !== undefined && { order } })).sort()
      }
      for (const phase of PHASES) assert.deepEqual(await listed(phase), [ids[phase]], phase)
      assert.deepEqual(await listed('open', 'lost'), [ids.open, ids.lost].sort())
      assert.deepEqual(await listed(), [])
    }
  }],
  ['usage counts uploads by phase, and their bytes', async (a, b) => {
    const now = 1000
    const none = { counts: { open: 0, overdue: 0, complete: 0, expired: 0, removed: 0, invalid: 0, lost: 0 }, bytes: 0, reserved: 0 }
    assert.deepEqual(await a.usage({ now }), none)
    for (const user of [null, 'ann']) {
      await Promise.all(phaseRecords({ user }).records.map((upload, number) => pick(a, b, number).create(upload)))
    }
    const others = [{ scope: 'there' }, { scope: 'here', user: 'bob' }, { protocol: 'other' }, { internal: true }] as const
    for (const place of others) await a.create(complete(newUpload({ size: 1000, ...place })))
    const one = { counts: { open: 1, overdue: 1, complete: 1, expired: 1, removed: 1, invalid: 1, lost: 1 }, bytes: 25, reserved: 40 }
    const filter = { scope: 'here', protocol: 'test', internal: false, now }
    for (const user of [null, 'ann']) assert.deepEqual(await b.usage({ ...filter, user }), one)
    assert.equal((await b.usage({ ...filter })).bytes, 1050)
    assert.equal((await b.usage({ now })).bytes, 4050)
    assert.equal((await b.usage({ now, user: null })).counts.complete, 4)
  }],
  ['usage counts what unfinished uploads have reserved, where it is more than their size and what is there', async (a, b) => {
    const places = [{ size: 10, reserved: 30 }, { size: 50, reserved: 30 }, { received: [[0, 70]], reserved: 30 }, { reserved: 5 }] as const
    for (const place of places) await a.create(newUpload(place))
    const changing = await a.create(newUpload({ received: [[0, 1]] }))
    const sums = async () => {
      const { bytes, reserved } = await b.usage({ now: 0 })
      return [bytes, reserved]
    }
    assert.deepEqual(await sums(), [71, 156])
    await a.update({ ...changing, reserved: 1000, version: 2 })
    assert.deepEqual(await sums(), [71, 1155])
  }],
  ['usage and ordered lists follow a record through its life', async (a, b) => {
    const upload = await a.create(newUpload({ user: 'ann', size: 5, received: [[0, 2]] }))
    const seen = async () => {
      const { counts, bytes } = await b.usage({ user: 'ann', now: 0 })
      const listed = await idsOf(b, { user: 'ann', order: { by: 'activity', descending: true } })
      return [...Object.entries(counts).filter(([, count]) => count > 0).flat(), bytes, listed.length]
    }
    assert.deepEqual(await seen(), ['open', 1, 2, 1])
    await b.update({ ...upload, version: 2, received: [[0, 4]] })
    assert.deepEqual(await seen(), ['open', 1, 4, 1])
    await a.update({ ...complete(upload), version: 3 })
    assert.deepEqual(await seen(), ['complete', 1, 5, 1])
    await b.update({ ...complete(upload), filename: 'renamed', version: 4 })
    assert.deepEqual(await seen(), ['complete', 1, 5, 1])
    assert.equal(await a.update({ ...complete(upload), filename: 'too late', completedAt: 7, version: 4 }), false)
    assert.deepEqual(await seen(), ['complete', 1, 5, 1])
    await a.update({ ...removed(upload), version: 5 })
    assert.deepEqual(await seen(), ['expired', 1, 0, 1])
    await b.delete(upload.id, 5)
    assert.deepEqual(await seen(), [0, 0])
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

const PHASES = ['open', 'overdue', 'complete', 'expired', 'removed', 'invalid', 'lost'] as const

/** One record of each phase at the time 1000. */
function phaseRecords (overrides: Partial<UploadingUpload> = {}): { records: Upload[], ids: Record<UploadPhase, string> } {
  const make = (phase: UploadPhase): Upload => {
    const upload = newUpload({ size: 20, received: [[0, 3], [4, 6]], expiresAt: phase === 'overdue' ? 1000 : 1001, ...overrides })
    if (phase === 'open') return upload
    if (phase === 'overdue') return { ...upload, size: null, received: [] }
    if (phase === 'complete') return { ...complete(upload), received: [[0, 20]] }
    return { ...upload, status: 'removed', removedAt: 1, reason: phase, received: [] }
  }
  const records = PHASES.map(make)
  const idOf = (phase: UploadPhase): string => records[PHASES.indexOf(phase)]?.id ?? ''
  return {
    records,
    ids: {
      open: idOf('open'),
      overdue: idOf('overdue'),
      complete: idOf('complete'),
      expired: idOf('expired'),
      removed: idOf('removed'),
      invalid: idOf('invalid'),
      lost: idOf('lost')
    }
  }
}

function compare (one: Upload, other: Upload, by: ListOrder['by']): number {
  const [first, second] = [valueOf(one, by), valueOf(other, by)]
  const order = first < second ? -1 : Number(first > second)
  return order !== 0 ? order : one.id < other.id ? -1 : 1
}

function valueOf (upload: Upload, by: ListOrder['by']): string | number {
  if (by === 'created') return upload.createdAt
  if (by === 'size') return upload.size ?? 0
  if (by === 'filename') return upload.filename
  return upload.status === 'complete' ? upload.completedAt : upload.status === 'removed' ? upload.removedAt : upload.updatedAt
}

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
