/**
 * `npm run bench`: the plugin beside its peers, in one run, as ratios. Results go to standard output as a table and to
 * bench/results/latest.json. Environment: BENCH_MIB (size of the large file, 1024), BENCH_ROUNDS (3), BENCH_DIR (where files go),
 * BENCH_ONLY (part of a row's name).
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import { cpus, release, totalmem } from 'node:os'
import { connect } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { MIB, type Upload, davPut, oursForm, oursPut, plainForm, plainPut, send, taskChunk, tusPatch } from './client.js'
import { perSecond, race } from './measure.js'
import type { PeerKind } from './peer.js'
import { type Peer, startNginx, startPeer } from './server-process.js'
import { packedSize, weightOf } from './weight.js'

const size = Number(process.env.BENCH_MIB ?? 1024) * MIB
const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const only = process.env.BENCH_ONLY ?? ''

interface Row {
  readonly what: string
  readonly ours: string
  readonly peer: string
  /** Ours divided by the peer's, or a plain figure. */
  readonly value: number
  readonly goal: string
  readonly met: boolean
}

const rows: Row[] = []

function report (
  what: string, ours: string, peer: string, value: number, sign: '≥' | '≤', goal: number, unit: '×' | 'MiB each' | 'ms' | 'MiB' | 'kB' = '×'
): void {
  const met = sign === '≥' ? value >= goal : value <= goal
  rows.push({ what, ours, peer, value, goal: `${sign} ${goal} ${unit}`, met })
  console.log(`${met ? '✓' : '✗'} ${what}: ${value.toFixed(2)} ${unit} (goal ${sign} ${goal}; ours ${ours}, peer ${peer})`)
}

async function withPeers<T> (kinds: readonly PeerKind[], work: (...peers: Peer[]) => Promise<T>): Promise<T> {
  const peers = await Promise.all(kinds.map(kind => startPeer(kind)))
  try {
    return await work(...peers)
  } finally {
    for (const peer of peers) await peer.stop()
  }
}

/** Ours against one peer with the same large file. */
async function compare (
  what: string, ours: [PeerKind, Upload], theirs: [PeerKind | 'nginx', Upload], goals: { throughput?: number, cpu?: number }
): Promise<void> {
  if (!what.includes(only)) return
  const [mine, their] = await race([
    { start: () => startPeer(ours[0]), upload: ours[1] },
    { start: () => theirs[0] === 'nginx' ? startNginx() : startPeer(theirs[0]), upload: theirs[1] }
  ], size, rounds)
  if (mine === undefined || their === undefined || their.mibPerSecond === 0) {
    console.log(`– ${what}: ${theirs[0]} is not installed`)
    return
  }
  if (goals.throughput !== undefined) {
    report(`${what}: throughput`, `${mine.mibPerSecond.toFixed(0)} MiB/s`, `${their.mibPerSecond.toFixed(0)} MiB/s`,
      mine.mibPerSecond / their.mibPerSecond, '≥', goals.throughput)
  }
  if (goals.cpu !== undefined) {
    report(`${what}: CPU`, `${mine.cpuSecondsPerGib.toFixed(2)} s/GiB, peak ${mine.peakMib.toFixed(0)} MiB`,
      `${their.cpuSecondsPerGib.toFixed(2)} s/GiB, peak ${their.peakMib.toFixed(0)} MiB`,
      mine.cpuSecondsPerGib / their.cpuSecondsPerGib, '≤', goals.cpu)
  }
}

/** Requests of 64 KiB, eight files at a time. */
async function smallChunks (): Promise<void> {
  const what = '64 KiB chunks'
  if (!what.includes(only)) return
  const chunk = 64 * 1024
  const parallel = 8
  const count = 4000
  const total = count / parallel * chunk * 5 / 4
  const rate = { ours: 0, plain: 0 }
  for (let round = 0; round < rounds; round++) {
    await withPeers(['ours raw', 'plain raw'], async (ours, plain) => {
      const agent = new Agent({ keepAlive: true, maxSockets: parallel })
      const raw = { 'content-type': 'application/octet-stream' }
      const ids: string[] = []
      const putOurs = async (worker: number, turn: number): Promise<void> => {
        const start = turn * chunk
        const headers = { ...raw, 'content-range': `bytes ${start}-${start + chunk - 1}/${total}` }
        const { body } = await send(ours?.port ?? 0, { method: 'PUT', path: `/uploads/${ids[worker] ?? ''}`, headers, size: chunk, agent })
        ids[worker] ??= (JSON.parse(body) as { id: string }).id
      }
      const putPlain = async (worker: number, turn: number): Promise<void> => {
        const headers = { ...raw, 'content-range': `bytes ${turn * chunk}-` }
        await send(plain?.port ?? 0, { method: 'PUT', path: `/file-${worker}`, headers, size: chunk, agent })
      }
      // A quarter as many warm up.
      await perSecond(count / 4, parallel, putOurs)
      rate.ours = Math.max(rate.ours, await perSecond(count, parallel, (worker, turn) => putOurs(worker, turn + count / 4 / parallel)))
      await perSecond(count / 4, parallel, putPlain)
      rate.plain = Math.max(rate.plain, await perSecond(count, parallel, (worker, turn) => putPlain(worker, turn + count / 4 / parallel)))
      agent.destroy()
    })
  }
  report(what, `${rate.ours.toFixed(0)}/s`, `${rate.plain.toFixed(0)}/s`, rate.ours / rate.plain, '≥', 0.6)
}

/** Files a second, with their completion: what it costs that each is brought to the disk after its reply. */
async function backgroundSync (): Promise<void> {
  const what = 'sync in the background: finished files of 1 MiB'
  if (!what.includes(only)) return
  const parallel = 8
  const best = [0, 0]
  for (let round = 0; round < rounds; round++) {
    for (const [index, kind] of (['ours raw', 'ours trusting'] as const).entries()) {
      await withPeers([kind], async peer => {
        const agent = new Agent({ keepAlive: true, maxSockets: parallel })
        const port = peer?.port ?? 0
        const one = async (): Promise<void> => {
          const headers = { 'content-type': 'application/octet-stream', 'content-range': `bytes 0-${MIB - 1}/${MIB}` }
          const { body } = await send(port, { method: 'PUT', path: '/uploads/', headers, size: MIB, agent })
          const { id } = JSON.parse(body) as { id: string }
          await send(port, { method: 'POST', path: `/uploads/${id}`, headers: { 'content-type': 'application/json' }, before: '{}', agent })
        }
        // The first ones are being synced while the others come.
        await perSecond(200, parallel, one)
        best[index] = Math.max(best[index] ?? 0, await perSecond(800, parallel, one))
        agent.destroy()
      })
    }
  }
  const [ours = 0, trusting = 0] = best
  report(what, `${ours.toFixed(0)}/s`, `${trusting.toFixed(0)}/s without`, ours / trusting, '≥', 0.7)
}

/** Time of completion with checksum, for a large file against a small one. */
async function completion (): Promise<void> {
  const what = 'completion of 2 GiB against 16 MiB'
  if (!what.includes(only)) return
  await withPeers(['ours md5'], async ours => {
    const port = ours?.port ?? 0
    const time = async (bytes: number): Promise<number> => {
      let best = Infinity
      for (let round = 0; round < rounds; round++) {
        const headers = { 'content-type': 'application/octet-stream', 'content-range': `bytes 0-${bytes - 1}/${bytes}` }
        const { body } = await send(port, { method: 'PUT', path: '/uploads/', headers, size: bytes })
        const { id } = JSON.parse(body) as { id: string }
        // The first answer tells the checksum of these bytes only by refusing a wrong one: it is computed all the same.
        const start = performance.now()
        await send(port, { method: 'POST', path: `/uploads/${id}`, headers: { 'content-type': 'application/json' }, before: '{"md5":"0"}' })
          .catch(() => {})
        best = Math.min(best, performance.now() - start)
        await send(port, { method: 'DELETE', path: `/uploads/${id}` })
      }
      return best
    }
    const small = await time(16 * MIB)
    const large = await time(2048 * MIB)
    report(what, `${large.toFixed(1)} ms`, `${small.toFixed(1)} ms`, large / small, '≤', 2)
  })
}

/** Memory that 200 more uploads need which trickle in, beside 100 that have already warmed up the process. */
async function slowUploads (): Promise<void> {
  const what = '200 slow uploads'
  if (!what.includes(only)) return
  await withPeers(['ours md5'], async ours => {
    if (ours === undefined) return
    const few = await peakOfSlowUploads(ours, 100)
    const many = await peakOfSlowUploads(ours, 300)
    report(what, `${many.toFixed(0)} MiB with 300`, `${few.toFixed(0)} MiB with 100`, (many - few) / 200, '≤', 0.25, 'MiB each')
  })
}

async function peakOfSlowUploads ({ port, usage }: Peer, count: number): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: count }, async () => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('PUT /uploads/ HTTP/1.1\r\nHost: bench\r\nContent-Type: application/octet-stream\r\n' +
      `Content-Range: bytes 0-${64 * MIB - 1}/${64 * MIB}\r\nContent-Length: ${64 * MIB}\r\n\r\n`)
    return socket
  }))
  let peak = 0
  for (let turn = 0; turn < 50; turn++) {
    for (const socket of sockets) socket.write(Buffer.alloc(16 * 1024))
    await sleep(100)
    peak = Math.max(peak, (await usage()).rssMiB)
  }
  for (const socket of sockets) socket.destroy()
  return peak
}

/** A large file as chunks over several connections, with its completion, against a file for each chunk, merged at the end. */
async function parallelChunks (): Promise<void> {
  const what = 'parallel chunks'
  if (!what.includes(only)) return
  const chunkSize = 8 * MIB
  const total = Number(process.env.BENCH_PARALLEL_MIB ?? 2048) * MIB
  const count = total / chunkSize
  await withPeers(['ours tasks', 'plain chunks'], async (ours, plain) => {
    for (const parallel of [1, 4, 8]) {
      const best = { ours: { send: Infinity, complete: Infinity }, plain: { send: Infinity, complete: Infinity } }
      for (let round = 0; round < rounds; round++) {
        const agent = new Agent({ keepAlive: true, maxSockets: parallel })
        for (const [name, peer] of [['ours', ours], ['plain', plain]] as const) {
          const port = peer?.port ?? 0
          const hash = `unknown-${round}-${parallel}`
          const create = { hash, file_name: 'a', file_size: total, content_type: 'a/b', chunk_size: chunkSize }
          const json = { 'content-type': 'application/json' }
          const { body } = await send(port, { method: 'POST', path: '/tasks/create', headers: json, before: JSON.stringify(create) })
          const { task_id: task } = JSON.parse(body) as { task_id: string }
          const rate = await perSecond(count, parallel, (worker, turn) => taskChunk(port, task, turn * parallel + worker, chunkSize, agent))
          const start = performance.now()
          await send(port, { method: 'POST', path: `/tasks/complete/${task}` })
          best[name].complete = Math.min(best[name].complete, performance.now() - start)
          best[name].send = Math.min(best[name].send, count / rate)
          await peer?.empty()
        }
        agent.destroy()
      }
      const mibPerSecond = (seconds: number): string => `${(total / MIB / seconds).toFixed(0)} MiB/s`
      report(`${what}, ${parallel} connections: throughput with completion`,
        `${mibPerSecond(best.ours.send + best.ours.complete / 1000)}, completed in ${best.ours.complete.toFixed(0)} ms`,
        `${mibPerSecond(best.plain.send + best.plain.complete / 1000)}, completed in ${best.plain.complete.toFixed(0)} ms`,
        (best.plain.send + best.plain.complete / 1000) / (best.ours.send + best.ours.complete / 1000), '≥', 1)
    }
  })
}

/** What a host pays for the package before the first upload. */
async function weight (): Promise<void> {
  const what = 'weight'
  if (!what.includes(only)) return
  const ours = await weightOf("await import('fastify-chunked-upload')", rounds)
  const theirs = await weightOf("await Promise.all([import('@tus/server'), import('@tus/file-store')])", rounds)
  const peer = `${theirs.importMs.toFixed(0)} ms, ${theirs.mib.toFixed(1)} MiB`
  report(`${what}: import after Fastify`, `${ours.importMs.toFixed(0)} ms`, peer, ours.importMs, '≤', 100, 'ms')
  report(`${what}: memory of the import`, `${ours.mib.toFixed(1)} MiB`, peer, ours.mib, '≤', 6, 'MiB')
  const packed = await packedSize()
  report(`${what}: package`, `${packed.toFixed(0)} kB`, '–', packed, '≤', 250, 'kB')
}

await weight()
await compare('raw body', ['ours raw', oursPut], ['plain raw', plainPut], { throughput: 1.6, cpu: 0.5 })
await compare('raw body with md5', ['ours md5', oursPut], ['plain md5', plainPut], { throughput: 1.2, cpu: 0.7 })
await compare('checksum of its own against power cuts: raw body', ['ours raw', oursPut], ['ours trusting', oursPut], {
  throughput: 0.8, cpu: 1.3
})
await compare('multipart body', ['ours raw', oursForm], ['plain multipart', plainForm], { throughput: 1, cpu: 0.9 })
await compare('tus PATCH', ['ours tus', tusPatch], ['plain raw', plainPut], { throughput: 1.6, cpu: 0.5 })
await compare('against @tus/server', ['ours tus', tusPatch], ['@tus/server', tusPatch], { throughput: 3 })
await compare('against nginx', ['ours raw', oursPut], ['nginx', davPut], { throughput: 0.5 })
await parallelChunks()
await smallChunks()
await completion()
await backgroundSync()
await slowUploads()

const processor = cpus()[0]?.model ?? 'unknown CPU'
const machine = `${cpus().length} × ${processor}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`
console.log(`\n${machine}; file of ${size / MIB} MiB, best of ${rounds} rounds\n`)
console.log('| what | ours | peer | ratio | goal | |\n|---|---|---|---|---|---|')
for (const { what, ours, peer, value, goal, met } of rows) {
  console.log(`| ${what} | ${ours} | ${peer} | ${value.toFixed(2)} | ${goal} | ${met ? 'met' : 'missed'} |`)
}
await mkdir(new URL('./results/', import.meta.url), { recursive: true })
await writeFile(new URL('./results/latest.json', import.meta.url), `${JSON.stringify({ machine, size, rounds, rows }, null, 2)}\n`)
process.exit()
