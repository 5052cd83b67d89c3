import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { diskStorage, memoryMetadata, memoryStorage, rawAppend } from '../../../src/index.js'
import { ffmpeg, type FfmpegOptions, JoinFailed, type JoinReport } from '../../../src/ffmpeg/index.js'
import { run as runProgram } from '../../support/child.js'
import { fetch, once } from '../../support/deadline.js'
import { until } from '../../support/engine.js'
import { startProgram } from '../../support/program.js'
import { requireProgram } from '../../support/requires.js'
import { startServer, type TestServer } from '../../support/server.js'

async function run (program: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await runProgram(program, args)
  return stdout + stderr
}

interface ClipOptions {
  readonly seconds?: number
  readonly size?: string
  readonly codec?: readonly string[]
  readonly sound?: readonly string[]
  readonly ending?: string
}

let clips = 0

/** A film of moving test bars, with a tone if it has sound. */
async function makeClip (folder: string, options: ClipOptions = {}): Promise<Buffer> {
  const { seconds = 1, size = '160x120', codec = ['libx264', '-preset', 'ultrafast'], sound = [], ending = 'mp4' } = options
  const file = join(folder, `made-${++clips}.${ending}`)
  await run('ffmpeg', [
    '-v', 'error', '-y', '-f', 'lavfi', '-i', `testsrc=size=${size}:rate=10:duration=${seconds}`,
    ...sound.length > 0 ? ['-f', 'lavfi', '-i', `sine=duration=${seconds}`] : [],
    '-pix_fmt', 'yuv420p', '-c:v', ...codec, ...sound.length > 0 ? ['-c:a', ...sound] : [], file
  ])
  return readFileSync(file)
}

interface Facts {
  readonly seconds: number
  readonly frames: number
  readonly codecs: readonly string[]
  readonly size: string
}

/** What ffmpeg says of a file that it decodes from its first to its last frame, without a complaint. */
async function factsOf (folder: string, bytes: Uint8Array): Promise<Facts> {
  const file = join(folder, `facts-${++clips}`)
  writeFileSync(file, bytes)
  const complaints = await run('ffmpeg', ['-v', 'warning', '-i', file, '-f', 'null', '-'])
  if (complaints !== '') throw new Error(complaints)
  const shown = JSON.parse(await run('ffprobe', ['-v', 'error', '-count_frames', '-show_streams', '-show_format', '-of', 'json', file]))
  const [video] = shown.streams
  return {
    seconds: Number(shown.format.duration),
    frames: Number(video.nb_read_frames),
    codecs: shown.streams.map((stream: { codec_name: string }) => stream.codec_name),
    size: `${video.width}x${video.height}`
  }
}

interface Served extends TestServer {
  readonly folder: string
  readonly reports: readonly JoinReport[]
  /** Appends the clips to a new video, one after the other, each joined before the next one. */
  film (clips: readonly Uint8Array[]): Promise<Buffer>
}

async function serve (t: Test, inMemory = false, options: FfmpegOptions = {}): Promise<Served> {
  const folder = t.testdir({ films: {}, joining: {} })
  const reports: JoinReport[] = []
  let joined = 0
  let wake = (): void => {}
  const server = await startServer(t, {
    prefix: '/',
    protocols: [rawAppend({
      join: ffmpeg({ directory: join(folder, 'joining'), ...options }),
      onJoined: () => { joined++; wake() },
      onJoinFailed: report => { reports.push(report); wake() }
    })],
    storage: inMemory ? memoryStorage() : diskStorage({ directory: join(folder, "films with ' a quote") }),
    metadata: memoryMetadata()
  }, { directory: folder, mayFail: true })
  return {
    ...server,
    folder,
    reports,
    film: async clips => {
      const created = await (await fetch(`${server.url}/create_video/`, { method: 'POST' })).json()
      const { video_id: id } = Object(created)
      for (const [index, clip] of clips.entries()) {
        // The first clip needs no job.
        const done = joined + reports.length + (index > 0 ? 1 : 0)
        const answer = await fetch(`${server.url}/append_video/${id}/`, { method: 'POST', body: new Uint8Array(clip) })
        if (answer.status !== 200) throw new Error(await answer.text())
        while (joined + reports.length < done) await new Promise<void>(resolve => { wake = resolve })
      }
      return Buffer.from(await (await fetch(`${server.url}/get_video/${id}/`)).arrayBuffer())
    }
  }
}

const PROGRAM = fileURLToPath(new URL('../../support/raw-append-process.ts', import.meta.url))

interface ServerProcess {
  readonly child: ChildProcess
  readonly url: string
  /** Resolves when so many videos have had a new file. */
  joined (count: number): Promise<void>
}

async function startProcess (t: Test, directory: string, program: string): Promise<ServerProcess> {
  const child = startProgram(PROGRAM, [directory, program])
  t.teardown(() => { child.kill('SIGKILL') })
  let joined = 0
  child.on('message', message => { if (Object(message).joined !== undefined) joined++ })
  const [first] = await once(child, 'message')
  return { child, url: `http://127.0.0.1:${Object(first).port}`, joined: async count => { await until(() => joined >= count) } }
}

const sound = ['aac']
const mpeg4 = ['mpeg4', '-q:v', '5']
const vp8 = ['libvpx', '-deadline', 'realtime', '-cpu-used', '8']

const films: ReadonlyArray<readonly [name: string, clips: readonly ClipOptions[], wanted: Omit<Facts, 'seconds'>]> = [
  ['H.264 with sound', [{ sound }, { sound }, { sound }], { frames: 30, codecs: ['h264', 'aac'], size: '160x120' }],
  ['MPEG-4 without sound', [{ codec: mpeg4 }, { codec: mpeg4, seconds: 2 }], { frames: 30, codecs: ['mpeg4'], size: '160x120' }],
  ['WebM', [{ codec: vp8, ending: 'webm' }, { codec: vp8, ending: 'webm' }], { frames: 20, codecs: ['vp8'], size: '160x120' }]
]

if (requireProgram(t, ['ffmpeg']) !== undefined && requireProgram(t, ['ffprobe']) !== undefined) {
  t.setTimeout(120_000)

  for (const [name, parts, wanted] of films) {
    t.test(`clips of equal codecs are joined without encoding them again: ${name}`, async t => {
      // An encoder that does not exist: nothing may ask for it.
      const server = await serve(t, false, { encode: () => ['-c:v', 'no-such-encoder'] })
      const made = await Promise.all(parts.map(async part => await makeClip(server.folder, part)))
      const { seconds, ...facts } = await factsOf(server.folder, await server.film(made))
      t.strictSame(facts, wanted)
      t.ok(Math.abs(seconds - wanted.frames / 10) < 0.3, `${seconds} s`)
      t.strictSame(server.reports, [])
      t.strictSame(readdirSync(join(server.folder, 'joining')), [], 'nothing is left where it was joined')
    })
  }

  t.test('clips of other codecs, sizes or without sound are encoded anew, in the size of the first', async t => {
    const server = await serve(t)
    const first = await makeClip(server.folder, { sound })
    const others = [{ codec: mpeg4, sound }, { codec: vp8, ending: 'webm' }, { size: '320x180', sound }]
    for (const other of others) {
      const { seconds, ...facts } = await factsOf(server.folder, await server.film([first, await makeClip(server.folder, other)]))
      t.match(facts, { codecs: ['h264', 'aac'], size: '160x120' }, JSON.stringify(other))
      t.ok(Math.abs(seconds - 2) < 0.3 && facts.frames >= 19, `${seconds} s, ${facts.frames} frames`)
    }
    t.strictSame(server.reports, [])
  })

  t.test('storage without local files is joined as well', async t => {
    const server = await serve(t, true)
    const clip = await makeClip(server.folder, { sound })
    t.match(await factsOf(server.folder, await server.film([clip, clip])), { frames: 20, codecs: ['h264', 'aac'] })
  })

  t.test('a clip that is none leaves the old file untouched, and names no file of the server', async t => {
    const server = await serve(t)
    const secret = join(server.folder, 'secret.mp4')
    const clip = await makeClip(server.folder)
    writeFileSync(secret, clip)
    const hostile = [
      'no film at all',
      `ffconcat version 1.0\nfile '${secret}'\n`,
      `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://${secret}\n#EXT-X-ENDLIST\n`,
      clip.subarray(0, 500).toString('latin1')
    ]
    const film = await server.film([clip, ...hostile.map(text => Buffer.from(text, 'latin1')), clip])
    t.equal(server.reports.length, hostile.length)
    t.ok(server.reports.every(({ error }) => error instanceof JoinFailed))
    t.match(await factsOf(server.folder, film), { frames: 20 }, 'the film goes on with the next clip')
  })

  t.test('a program that is not there, or takes too long, is told apart from a bad clip', async t => {
    const clip = { path: undefined, open: () => { throw new Error('not asked for') } }
    const signal = new AbortController().signal
    const folder = t.testdir({})
    const missing = ffmpeg({ ffprobe: join(folder, 'nothing'), directory: folder })
    const made = join(folder, 'made')
    writeFileSync(made, await makeClip(folder))
    const clips = [{ ...clip, path: made }, { ...clip, path: made }]
    await t.rejects(missing.join(clips, { videoId: 'v', signal }), { code: 'ENOENT' })
    const late = ffmpeg({ directory: folder, timeout: 0 })
    await t.rejects(late.join(clips, { videoId: 'v', signal }), { name: 'JoinFailed', message: /took longer than 0 ms/ })
    const stopped = AbortSignal.abort(new Error('the server stops'))
    await t.rejects(ffmpeg({ directory: folder }).join(clips, { videoId: 'v', signal: stopped }), { message: 'the server stops' })
    t.strictSame(readdirSync(folder).filter(name => name.startsWith('chunked-upload')), [])
  })

  t.test('a disk that is full is no fault of a clip: it is kept, and joined with the next one', async t => {
    const [program, room] = [join(t.testdirName, 'ffmpeg-without-room'), join(t.testdirName, 'room')]
    const server = await serve(t, false, { ffmpeg: program })
    // Without the signal, writing beyond the limit is an error, as it is on a disk that is full.
    writeFileSync(program, `#!/bin/sh\ntrap '' XFSZ\n[ -e '${room}' ] || ulimit -f 2\nexec ffmpeg "$@"\n`, { mode: 0o755 })
    const clip = new Uint8Array(await makeClip(server.folder, { sound }))
    const post = async (path: string): Promise<number> => (await fetch(server.url + path, { method: 'POST', body: clip })).status
    t.strictSame([await post('/create_video/'), await post('/append_video/1/'), await post('/append_video/1/')], [201, 200, 200])
    await until(() => server.failures.length > 0)
    t.match(server.failures.join(), /could not do its work/)
    writeFileSync(room, '')
    t.equal(await post('/append_video/1/'), 200)
    const film = async (): Promise<Buffer> => Buffer.from(await (await fetch(`${server.url}/get_video/1/`)).arrayBuffer())
    await until(async () => (await film()).length > clip.length)
    t.match(await factsOf(server.folder, await film()), { frames: 30 })
    t.strictSame(server.reports, [])
  })

  t.test('invariant 12: what a killed job has left is removed by the next one of that video, and of no other but long after', async t => {
    const lefts = ['chunked-upload-join-v1-abc', 'chunked-upload-join-v2-abc', 'chunked-upload-join-v3-abc', 'not-ours']
    const folder = t.testdir(Object.fromEntries(lefts.map(name => [name, { joined: 'half' }])))
    for (const name of ['chunked-upload-join-v3-abc', 'not-ours']) utimesSync(join(folder, name), 0, 0)
    const path = join(folder, 'clip')
    writeFileSync(path, await makeClip(folder))
    const clip = { path, open: () => { throw new Error('not asked for') } }
    const signal = new AbortController().signal
    const joined = await ffmpeg({ directory: folder }).join([clip, clip], { videoId: 'v1', signal })
    const left = (): string[] => readdirSync(folder).filter(name => name.startsWith('chunked-upload')).sort()
    t.match(left(), { length: 2, 0: /-v1-(?!abc)/, 1: 'chunked-upload-join-v2-abc' })
    await joined.discard()
    t.strictSame(left(), ['chunked-upload-join-v2-abc'])
    t.ok(existsSync(join(folder, 'not-ours')))
    await t.rejects(ffmpeg({ directory: folder }).join([clip, { ...clip, path: join(folder, 'gone') }], { videoId: 'v1', signal }), {
      code: 'ENOENT'
    }, 'a file that is missing is no fault of the clip')
  })

  t.test('invariants 1 and 12: a kill -9 in the middle of a join loses no clip, and the next server joins them', async t => {
    const folder = t.testdir({ films: {}, joining: {} })
    const [begun, goOn] = [join(folder, 'begun'), join(folder, 'go')]
    const waiting = join(folder, 'ffmpeg-that-waits')
    const script = `touch '${begun}'; while [ ! -e '${goOn}' ]; do sleep 0.05; done; exec ffmpeg "$@"`
    writeFileSync(waiting, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    const clip = await makeClip(folder, { sound })
    const post = async (url: string): Promise<string> => {
      return await (await fetch(url, { method: 'POST', body: new Uint8Array(clip) })).text()
    }
    const film = async (url: string): Promise<Buffer> => Buffer.from(await (await fetch(`${url}/get_video/1/`)).arrayBuffer())

    const first = await startProcess(t, folder, waiting)
    await post(`${first.url}/create_video/`)
    t.equal(await post(`${first.url}/append_video/1/`), '{"message":"Video added successfully"}')
    const acknowledged = '{"message":"Video appended and joined successfully"}'
    for (let clips = 2; clips <= 3; clips++) t.equal(await post(`${first.url}/append_video/1/`), acknowledged)
    await until(() => existsSync(begun))
    const gone = once(first.child, 'exit')
    first.child.kill('SIGKILL')
    await gone

    const second = await startProcess(t, folder, 'ffmpeg')
    // The program that the killed server has left goes on to work in its old folder.
    writeFileSync(goOn, '')
    await second.joined(1)
    t.match(await factsOf(folder, await film(second.url)), { frames: 30, codecs: ['h264', 'aac'] })
    await until(() => readdirSync(join(folder, 'joining')).length === 0)
    t.equal(await post(`${second.url}/append_video/1/`), acknowledged)
    await second.joined(2)
    t.match(await factsOf(folder, await film(second.url)), { frames: 40 })
  })
}
