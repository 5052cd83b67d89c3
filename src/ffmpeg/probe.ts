import { JoinFailed } from '../protocols/raw-append/joiner.js'
import { runProgram, type RunOptions } from './run-program.js'

/** What a clip may be: formats with all bytes in themselves. Playlists and the like would let a client name files of the server. */
export const formats = 'mov,mp4,matroska,webm,avi,mpegts,mpeg,ogg,flv'

export interface Probe {
  /** ffmpeg's name of the container, of several one after the other. */
  readonly format: string
  /** Seconds; undefined where the file does not say. */
  readonly duration: number | undefined
  readonly video: { readonly codec: string, readonly width: number, readonly height: number, readonly pixels: string } | undefined
  readonly audio: { readonly codec: string, readonly rate: string, readonly channels: number } | undefined
}

/** Equal for clips that can be joined without encoding them again. */
export function layoutOf ({ video, audio }: Probe): string {
  return JSON.stringify([video ?? null, audio ?? null])
}

/** @throws {JoinFailed} it is no clip that can be played */
export async function probe (program: string, file: string, run: RunOptions): Promise<Probe> {
  const output = await runProgram(program, [
    '-v', 'error', '-protocol_whitelist', 'file', '-format_whitelist', formats,
    '-show_entries', 'format=format_name,duration:stream=codec_type,codec_name,width,height,pix_fmt,sample_rate,channels',
    '-of', 'json', '-i', `file:${file}`
  ], run)
  const { format, streams } = Object(JSON.parse(output))
  const list: unknown[] = Array.isArray(streams) ? streams : []
  const first = (type: string): Record<string, unknown> | undefined => list.map(toFields).find(({ codec_type: kind }) => kind === type)
  const [video, audio] = [first('video'), first('audio')]
  const { format_name: name, duration } = toFields(format)
  if (video === undefined && audio === undefined) throw new JoinFailed('The clip has neither picture nor sound')
  return {
    format: String(name),
    duration: typeof duration === 'string' && Number(duration) > 0 ? Number(duration) : undefined,
    video: video && {
      codec: String(video.codec_name), width: Number(video.width), height: Number(video.height), pixels: String(video.pix_fmt)
    },
    audio: audio && { codec: String(audio.codec_name), rate: String(audio.sample_rate), channels: Number(audio.channels) }
  }
}

function toFields (value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
