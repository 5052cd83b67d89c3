import type { JsonObject, JsonValue, Upload } from '../../upload.js'

/** What a video's record knows of its clips, where they are joined. All are ids of inner uploads. */
export interface VideoState {
  /** What `get_video` serves; null for the video's own bytes. */
  readonly content: string | null
  /** Clips that wait to be joined, in their order. */
  readonly clips: readonly string[]
  /** The file that a job is making. Found by another job, it is what a crash has left. */
  readonly building: string | null
  /** Replaced, to be removed. */
  readonly stale: readonly string[]
}

export function stateOf ({ protocolState }: Upload): VideoState {
  const { content, clips, building, stale } = protocolState
  return { content: idIn(content), clips: idsIn(clips), building: idIn(building), stale: idsIn(stale) }
}

export function protocolStateOf ({ content, clips, building, stale }: VideoState): JsonObject {
  return { content, clips, building, stale }
}

/** Every inner upload that the state names. */
export function innerIdsOf ({ content, clips, building, stale }: VideoState): readonly string[] {
  return [content, ...clips, building, ...stale].filter(id => id !== null)
}

function idIn (value: JsonValue | undefined): string | null {
  return typeof value === 'string' ? value : null
}

function idsIn (value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter(id => typeof id === 'string') : []
}
