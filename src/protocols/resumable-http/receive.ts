import type { CallerHooks, Written } from '../../engine/index.js'
import { BeyondSize, ChecksumMismatch, OffsetMismatch, SizeConflict } from '../../errors.js'
import { type CompleteUpload, type Upload, type UploadingUpload, offsetOf } from '../../upload.js'
import type { CompletionReply } from '../contract.js'
import { sizeBy, type UploadBody } from './body.js'
import { checkRepresentation } from './digests.js'
import { inconsistentLength } from './errors.js'
import { completenessField } from './completeness.js'
import { sendInterim } from './interim.js'
import type { ResumableContext } from './mount.js'
import { answerIn, answerOf, type FinalAnswer, stateOf, stored, wishOf } from './state.js'
import { interopNumber } from './versions.js'

/** Where the bytes of a request go. */
export interface Reception {
  readonly id: string
  /** Byte of the file that the body starts with. */
  readonly offset: number
  readonly body: UploadBody
  /** The file ends with this body. */
  readonly last: boolean
  /** Makes the final reply of the finished file, where the host's `onComplete` is not to word it. */
  readonly finish?: ((upload: Upload) => Promise<FinalAnswer>) | undefined
}

/**
 * Stores the body of a creation or an append; the last one completes the upload, and its final reply is saved with it.
 * @throws what the engine throws. More bytes than the file has, and a file that is not the one which the client announced, end the upload.
 */
export async function receive (context: ResumableContext, reception: Reception): Promise<Written> {
  const { mount: { engine, settings }, request, reply } = context
  const caller = await context.caller()
  const { id, offset, body, last } = reception
  const { length, digests, version } = body
  const progress = interopNumber(request) !== undefined && settings.interim && version.progress ? settings.progress : false
  const size = sizeBy({ ...body, last }, offset)
  try {
    const onComplete = finishing(context, caller.hooks.onComplete, reception)
    return await engine.write({ ...caller, hooks: { ...caller.hooks, onComplete } }, id, {
      start: offset,
      body: body.bytes,
      claim: 'stop',
      overflow: version.overflow === 'keep' ? 'keep' : 'refuse',
      check: upload => { checkPlace(upload, reception) },
      ...length !== undefined && { length },
      ...size !== undefined && { size },
      ...digests !== undefined && { digests },
      ...settings.maxAppendSize !== null && { maxLength: settings.maxAppendSize },
      ...progress !== false && {
        saveEvery: progress,
        onProgress: (upload: Upload) => {
          const stored = offsetOf(upload)
          // The final reply says so itself.
          if (stored !== offset + (length ?? NaN)) sendInterim(reply, settings, { 'Upload-Offset': String(stored) })
        }
      },
      ...last && {
        complete: {
          when: 'end',
          change: (upload: Upload, wish: CompletionReply | undefined) => ({
            protocolState: stored({ ...stateOf(upload), answer: answerIn(wish) })
          })
        }
      }
    })
  } catch (error) {
    const isOver = error instanceof BeyondSize ? version.overflow === 'invalidate' : error instanceof ChecksumMismatch && last
    if (isOver) await invalidate(context, reception, error)
    throw error
  }
}

/** Under the lock, before a byte is read: the offset comes first, then the lengths that this and earlier requests tell. */
function checkPlace (upload: UploadingUpload, { offset, body: { size, length }, last }: Reception): void {
  const current = offsetOf(upload)
  if (offset !== current) throw new OffsetMismatch(current, offset)
  if (size !== undefined && size < current) throw inconsistentLength(`Upload-Length is ${size}, but ${current} bytes are there`)
  const known = upload.size
  if (known === null) return
  if (size !== undefined && size !== known) throw new SizeConflict(known, size)
  if (last && length !== undefined && offset + length < known) throw new SizeConflict(known, offset + length)
  if (offset + (length ?? 0) > known) throw new BeyondSize(known)
}

/** The engine's `onComplete`: checks the file, lets the host word the final reply, and gives it in a form that can be kept. */
function finishing (
  context: ResumableContext, onComplete: CallerHooks['onComplete'], { body, finish }: Reception
): (upload: CompleteUpload) => Promise<CompletionReply> {
  return async upload => {
    await checkRepresentation(context, upload)
    try {
      const wish = await onComplete?.(upload)
      return wishOf(finish === undefined ? answerOf(wish) : await finish(upload))
    } catch (error) {
      // What refuses is the target, and no longer the upload: there is nothing to resume.
      context.reply.headers(completenessField(true, body.version))
      throw error
    }
  }
}

/** Ends an upload that cannot become the announced file any more, unless only this body was wrong and nothing of it was kept. */
async function invalidate (context: ResumableContext, { id, offset, body }: Reception, error: unknown): Promise<void> {
  const { engine } = context.mount
  const caller = await context.caller()
  const upload = await engine.get(caller, id)
  const kept = offsetOf(upload) !== offset || body.length === 0
  if (error instanceof ChecksumMismatch && !kept) return
  await engine.remove({ ...caller, hooks: {} }, id, { keepRecord: true, reason: 'invalid' })
}
