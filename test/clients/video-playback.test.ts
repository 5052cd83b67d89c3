import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { ffmpeg } from '../../src/ffmpeg/index.js'
import { rawAppend, type Upload } from '../../src/index.js'
import { evaluate, startBrowser } from '../support/browser.js'
import { runSync } from '../support/child.js'
import { requireProgram } from '../support/requires.js'
import { startServer, type TestServer } from '../support/server.js'

/** The page of these tests, with what it can do. */
const html = `<!doctype html>
<title>Videos</title>
<video muted></video>
<canvas width="320" height="240"></canvas>
<script>
const video = document.querySelector('video')

function heard (event) {
  return new Promise((resolve, reject) => {
    video.addEventListener(event, resolve, { once: true })
    video.addEventListener('error', () => { reject(new Error(video.error.message)) }, { once: true })
  })
}

async function seek (time) {
  const seeked = heard('seeked')
  video.currentTime = time
  await seeked
  return video.currentTime
}

async function play (url, seeks) {
  const loaded = heard('loadeddata')
  video.src = url
  await loaded
  // A recording does not say how long it is before its end was seen.
  const duration = Number.isFinite(video.duration) ? video.duration : await seek(1e9)
  const positions = []
  for (const part of seeks) positions.push(await seek(duration * part))
  const from = video.currentTime
  await video.play()
  while (video.currentTime <= from) await heard('timeupdate')
  video.pause()
  return { duration, positions, played: true }
}

async function record (time) {
  const canvas = document.querySelector('canvas')
  const pen = canvas.getContext('2d')
  const drawing = setInterval(() => {
    pen.fillStyle = 'hsl(' + performance.now() / 10 % 360 + ' 90% 50%)'
    pen.fillRect(0, 0, 320, 240)
  }, 40)
  const { video_id: id } = await (await fetch('/create_video/', { method: 'POST' })).json()
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: 'video/webm;codecs=vp8' })
  const messages = []
  let sending = Promise.resolve()
  let chunks = 0
  recorder.addEventListener('dataavailable', ({ data }) => {
    if (data.size === 0) return
    chunks++
    sending = sending.then(async () => {
      const answer = await fetch('/append_video/' + id + '/', { method: 'POST', body: data })
      messages.push((await answer.json()).message)
    })
  })
  const stopped = new Promise(resolve => { recorder.addEventListener('stop', resolve) })
  recorder.start(200)
  await new Promise(resolve => { setTimeout(resolve, time) })
  recorder.stop()
  await stopped
  clearInterval(drawing)
  await sending
  return { chunks, messages }
}
</script>
`

interface Served extends TestServer {
  /** Range headers of the requests for videos. */
  readonly ranges: string[]
  /** Resolves when so many clips were joined. */
  joined (count: number): Promise<void>
}

async function serve (t: Test, joining: boolean): Promise<Served> {
  const ranges: string[] = []
  const joined: string[] = []
  let wake = (): void => {}
  const join = joining ? { join: ffmpeg(), onJoined: ({ video }: { video: Upload }) => { joined.push(video.id); wake() } } : {}
  const server = await startServer(t, { prefix: '/', protocols: [rawAppend(join)] }, {
    before: app => {
      app.get('/', async (_request, reply) => await reply.type('text/html').send(html))
      app.addHook('onRequest', async request => {
        if (request.url.startsWith('/get_video/')) ranges.push(String(request.headers.range))
      })
    }
  })
  return {
    ...server,
    ranges,
    joined: async count => { while (joined.length < count) await new Promise<void>(resolve => { wake = resolve }) }
  }
}

async function openPage (t: Test, url: string): Promise<Page | undefined> {
  const browser = await startBrowser(t)
  if (browser === undefined) return undefined
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  await page.goto(url)
  return page
}

interface Playback {
  readonly duration: number
  /** Where the video stood after each seek, in seconds. */
  readonly positions: readonly number[]
  /** True when it went on from the last of them. */
  readonly played: boolean
}

/** Loads a video, seeks to each time (in parts of its length), and plays on from the last. */
async function play (page: Page, url: string, seeks: readonly number[]): Promise<Playback> {
  return await evaluate(page, `play(${JSON.stringify(url)}, ${JSON.stringify(seeks)})`)
}

/** A film of moving bars in a codec that Chromium has; with noise it takes about half a megabyte a second. */
function makeFilm (folder: string, name: string, seconds: number, noise = 0): Buffer {
  const file = join(folder, name)
  runSync('ffmpeg', [
    '-v', 'error', '-y', '-f', 'lavfi', '-i', `testsrc=size=320x240:rate=10:duration=${seconds}`, '-vf', `noise=alls=${noise}:allf=t`,
    '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '8M', '-qmin', '4', '-g', '10', file
  ])
  return readFileSync(file)
}

/** A file that browsers do not load to its end before they are asked to: the film several times, without encoding it again. */
function repeat (folder: string, name: string, times: number): Buffer {
  const file = join(folder, `long-${name}`)
  runSync('ffmpeg', ['-v', 'error', '-y', '-stream_loop', String(times - 1), '-i', join(folder, name), '-c', 'copy', file])
  return readFileSync(file)
}

t.test('a film that was appended in chunks plays in Chromium, and seeks by ranges', async t => {
  if (requireProgram(t, ['ffmpeg']) === undefined) return
  const server = await serve(t, false)
  const page = await openPage(t, server.url)
  if (page === undefined) return
  makeFilm(server.directory, 'piece.webm', 4, 80)
  const film = repeat(server.directory, 'piece.webm', 10)
  await server.send('POST', '/create_video/')
  for (let start = 0; start < film.length; start += 1_000_000) {
    t.equal((await server.send('POST', '/append_video/1/', { body: film.subarray(start, start + 1_000_000) })).status, 200)
  }
  const { duration, positions, played } = await play(page, '/get_video/1/', [0.9, 0.1, 0.5])
  t.ok(Math.abs(duration - 40) < 0.5, `${duration} s`)
  t.match(positions.map(position => Math.round(position / duration * 10)), [9, 1, 5])
  t.ok(played)
  t.ok(server.ranges.some(range => /^bytes=[1-9]\d*-/.test(range)), `it asked for ranges: ${server.ranges.join(' ')}`)
})

t.test('a recording of the page itself, sent chunk by chunk as MediaRecorder makes them, plays and seeks', async t => {
  const server = await serve(t, false)
  const page = await openPage(t, server.url)
  if (page === undefined) return
  const { chunks, messages } = await evaluate<{ chunks: number, messages: string[] }>(page, 'record(3000)')
  t.ok(chunks > 3, `${chunks} chunks`)
  t.strictSame(messages, ['Video added successfully', ...Array(chunks - 1).fill('Video appended and joined successfully')])
  const { duration, positions, played } = await play(page, '/get_video/1/', [0.8, 0.2])
  t.ok(duration > 1, `${duration} s`)
  t.match(positions.map(position => Math.round(position / duration * 10)), [8, 2])
  t.ok(played)
})

t.test('clips that ffmpeg has joined play as one film', async t => {
  if (requireProgram(t, ['ffmpeg']) === undefined) return
  const server = await serve(t, true)
  const page = await openPage(t, server.url)
  if (page === undefined) return
  await server.send('POST', '/create_video/')
  for (const [index, name] of ['a.webm', 'b.webm', 'c.webm'].entries()) {
    const answer = await server.send('POST', '/append_video/1/', { body: makeFilm(server.directory, name, 2) })
    t.equal(answer.status, 200)
    await server.joined(index)
  }
  const { duration, positions, played } = await play(page, '/get_video/1/', [0.9, 0.4])
  t.ok(Math.abs(duration - 6) < 0.5, `${duration} s`)
  t.match(positions.map(position => Math.round(position / duration * 10)), [9, 4])
  t.ok(played)
})
