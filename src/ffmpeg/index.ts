import { createReadStream, createWriteStream } from 'node:fs'
import { access, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { checkByRules } from '../option-rules.js'
import { formats, layoutOf, type Probe, probe } from './probe.js'
import { runProgram, type RunOptions } from './run-program.js'
import { type Clip, type Joined, type Joiner, JoinFailed } from '../protocols/raw-append/joiner.js'
import { rules } from './options.rules.js'

export { type Clip, type Joined, type Joiner, JoinFailed, type JoinReport } from '../protocols/raw-append/joiner.js'

export interface FfmpegOptions {
  /** Program, by name or path. @default 'ffmpeg' */
  readonly ffmpeg?: string | undefined
  /** Program, by name or path. @default 'ffprobe' */
  readonly ffprobe?: string | undefined
  /** Jobs that may work at a time. @default 1 */
  readonly jobs?: number | undefined
  /** ms after which a run of a program counts as failed, and is ended. @default 3600000 */
  readonly timeout?: number | undefined
  /** Where files are while they are joined: needs room for the joined file. @default the system's folder for temporary files */
  readonly directory?: string | undefined
  /** Arguments that choose codecs where clips have to be encoded again. @default H.264 and AAC; in WebM VP8 and Opus */
  readonly encode?: ((format: Container) => readonly string[]) | undefined
}

/** Beginning of the names of the folders in which jobs work; the video's id follows. */
const PREFIX = 'chunked-upload-join-'
const DAY = 86_400_000

/** The container of the joined file: that of the video so far. */
export type Container = 'mp4' | 'webm' | 'matroska'

/**
 * Joins clips with ffmpeg (as of version 4). Clips of the same codecs and picture size are joined by the concat demuxer, without encoding
 * them again; others are encoded anew, in the picture size of the first. Clips may be what cameras and browsers make: MP4, MOV, WebM,
 * Matroska, AVI, MPEG, Ogg or FLV. Formats that name other files or addresses are refused, and ffmpeg may open nothing but local files.
 * @throws {InvalidOption}
 */
export function ffmpeg (options: FfmpegOptions = {}): Joiner {
  checkByRules('ffmpeg', options, rules)
  const { jobs = 1, timeout = 3_600_000, directory = tmpdir(), encode = usualCodecs } = options
  const programs = { ffmpeg: options.ffmpeg ?? 'ffmpeg', ffprobe: options.ffprobe ?? 'ffprobe' }
  return {
    jobs,
    async join (clips, { videoId, signal }) {
      await removeLeftovers(directory, videoId, Date.now() - DAY - 3 * timeout)
      const folder = await mkdtemp(join(directory, `${PREFIX}${videoId}-`))
      const discard = async (): Promise<void> => { await rm(folder, { recursive: true, force: true }) }
      try {
        return { ...await joinIn(folder, clips, { ...programs, encode, run: { signal, timeout } }), discard }
      } catch (error) {
        await discard()
        throw error
      }
    }
  }
}

/** Removes what jobs that were killed have left: those of this video, as its lock keeps others away, and those of long ago. */
async function removeLeftovers (directory: string, videoId: string, before: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.startsWith(PREFIX)) continue
    const left = join(directory, name)
    if (name.startsWith(`${PREFIX}${videoId}-`) || await began(left) < before) await rm(left, { recursive: true, force: true })
  }
}

/** ms since 1970; Infinity for a folder that another process has just removed. */
async function began (folder: string): Promise<number> {
  return (await stat(folder).catch(() => undefined))?.mtimeMs ?? Infinity
}

interface JoinSetting {
  readonly ffmpeg: string
  readonly ffprobe: string
  readonly encode: (format: Container) => readonly string[]
  readonly run: RunOptions
}

async function joinIn (folder: string, clips: readonly Clip[], setting: JoinSetting): Promise<Omit<Joined, 'discard'>> {
  // Files are named by numbers, so that no path of theirs has to be quoted.
  const names = clips.map((_, index) => `clip-${index}`)
  const probes: Probe[] = []
  for (const [index, clip] of clips.entries()) {
    const file = join(folder, names[index] ?? '')
    if (clip.path === undefined) await pipeline(clip.open(), createWriteStream(file), { signal: setting.run.signal })
    else {
      // A file that is missing is the storage's trouble, not the clip's.
      await access(clip.path)
      await symlink(clip.path, file)
    }
    probes.push(await probe(setting.ffprobe, file, setting.run))
  }
  const [first] = probes
  if (first === undefined) throw new JoinFailed('There is nothing to join')
  const container = containerOf(first)
  const output = join(folder, 'joined')
  const same = probes.every(probe => layoutOf(probe) === layoutOf(first))
  const input = same ? await concatInput(folder, names) : encodeInput(folder, names, probes, setting.encode(container))
  await runProgram(setting.ffmpeg, [
    '-v', 'error', '-nostdin', '-y', ...input, ...container === 'mp4' ? ['-movflags', '+faststart'] : [], '-f', container, output
  ], setting.run)

  const joined = await probe(setting.ffprobe, output, setting.run)
  const expected = probes.reduce((sum, { duration }) => sum + (duration ?? 0), 0)
  if ((joined.duration ?? Infinity) < expected * 0.9 || (await stat(output)).size === 0) {
    throw new JoinFailed(`The joined clips last ${joined.duration} of ${expected} seconds`)
  }
  return { contentType: `video/${container === 'matroska' ? 'x-matroska' : container}`, open: () => createReadStream(output) }
}

async function concatInput (folder: string, names: readonly string[]): Promise<readonly string[]> {
  const list = join(folder, 'list')
  await writeFile(list, ['ffconcat version 1.0', ...names.map(name => `file ${name}`), ''].join('\n'))
  return [
    '-protocol_whitelist', 'file', '-format_whitelist', `concat,${formats}`, '-f', 'concat', '-i', `file:${list}`,
    '-map', '0:v:0?', '-map', '0:a:0?', '-c', 'copy'
  ]
}

function encodeInput (
  folder: string, names: readonly string[], probes: readonly Probe[], codecs: readonly string[]
): readonly string[] {
  const [first] = probes
  if (first?.video === undefined || probes.some(({ video }) => video === undefined)) {
    throw new JoinFailed('Sound without a picture can only be joined to the same kind of sound')
  }
  const { width, height } = first.video
  const sound = probes.some(({ audio }) => audio !== undefined)
  const size = `${width + width % 2}:${height + height % 2}`
  const soundOf = ({ audio, duration = 0 }: Probe, index: number): string => audio === undefined
    ? `anullsrc=r=48000:cl=stereo,atrim=duration=${duration}[a${index}]`
    : `[${index}:a:0]aresample=48000[a${index}]`
  const chains = probes.flatMap((probe, index) => [
    `[${index}:v:0]scale=${size}:force_original_aspect_ratio=decrease,pad=${size}:-1:-1,setsar=1,format=yuv420p[v${index}]`,
    ...sound ? [soundOf(probe, index)] : []
  ])
  const pads = probes.map((_, index) => `[v${index}]${sound ? `[a${index}]` : ''}`).join('')
  const graph = [...chains, `${pads}concat=n=${probes.length}:v=1:a=${sound ? 1 : 0}[v]${sound ? '[a]' : ''}`].join(';')
  return [
    ...names.flatMap(name => ['-protocol_whitelist', 'file', '-format_whitelist', formats, '-i', `file:${join(folder, name)}`]),
    '-filter_complex', graph, '-map', '[v]', ...sound ? ['-map', '[a]'] : [], ...codecs
  ]
}

function containerOf ({ format, video, audio }: Probe): Container {
  if (!format.split(',').includes('webm')) return 'mp4'
  const web = ['vp8', 'vp9', 'av1', undefined].includes(video?.codec) && ['opus', 'vorbis', undefined].includes(audio?.codec)
  return web ? 'webm' : 'matroska'
}

function usualCodecs (container: Container): readonly string[] {
  return container === 'webm'
    ? ['-c:v', 'libvpx', '-b:v', '2M', '-deadline', 'good', '-cpu-used', '4', '-c:a', 'libopus']
    : ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '20', '-c:a', 'aac']
}
