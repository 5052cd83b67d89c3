import { assertUploading } from '../../engine/index.js'
import type { Upload, UploadingUpload } from '../../upload.js'
import type { Context } from '../context.js'
import type { Mount } from '../mount.js'
import type { ChunkTasksSettings } from './options.js'
import { type TaskState, taskStateOf } from './task.js'
import { uploadIdOf } from './task-id.js'

export type TaskMount = Mount<ChunkTasksSettings>

/** A request to a mount of the protocol. */
export type TaskContext = Context<TaskMount>

/** A task that is in progress, and what the contract keeps with it. */
export interface OpenTask {
  readonly upload: UploadingUpload
  readonly state: TaskState
}

/**
 * The task of the URL, if it is the caller's and in progress.
 * @throws {TaskRefusal} {@link UploadNotFound} {@link UploadComplete} {@link UploadExpired} {@link UploadGone} {@link UserRequired}
 */
export async function openTask (context: TaskContext): Promise<OpenTask> {
  const upload: Upload = await context.mount.engine.get(await context.caller(), uploadIdOf(context.param('taskId')))
  assertUploading(upload)
  return { upload, state: taskStateOf(upload) }
}
