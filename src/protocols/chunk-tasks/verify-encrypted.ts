import { readForm } from '../../http/body/form.js'
import type { FileKey } from '../../engine/index.js'
import { askerOf } from './encryption.js'
import { FieldReader, text } from './fields.js'
import type { OpenTask, TaskContext } from './mount.js'
import { TaskRefusal } from './refusals.js'
import { sizeOf } from './task.js'

/**
 * The key by which the completion reads a file that is encrypted; undefined where it need not read any. The hash is that of the clear
 * bytes. It has grown with chunks that came in order, to servers that share the storage's `stateSecret`. Else the bytes have to be read
 * again, and only the password can do that. It may come with the completion, as JSON `{"encrypt_password": …}`.
 * @throws {TaskRefusal} the hash cannot be verified without the password
 */
export async function keyToVerify (
  context: TaskContext, { upload, state }: OpenTask
): Promise<FileKey | undefined> {
  const { mount: { engine, settings: { encryption } }, request } = context
  if (state.encryption === null || upload.checksum === null || engine.checksumOffset(upload) === sizeOf(upload)) return undefined
  const fields = new FieldReader(await readForm(request))
  const password = fields.optional('encrypt_password', text)
  fields.check()
  if (password === null || encryption === undefined) {
    const message = 'The hash of this encrypted file can only be verified with its password: send encrypt_password with the completion.'
    throw new TaskRefusal(400, 'HASH_NOT_VERIFIABLE', message)
  }
  return await encryption.unlock(upload, password, askerOf(await context.caller(), request))
}
