import type { FastifyRequest } from 'fastify'
import { readForm } from '../../http/form.js'
import { FieldReader, text } from './fields.js'
import type { Mount, OpenTask } from './mount.js'
import { Refused } from './problem.js'
import { sizeOf } from './task.js'

/**
 * Completes a task whose file may be encrypted. The hash is that of the clear bytes: when the chunks came in order it has grown with them,
 * else they have to be read again, and only the password can do that. It may come with the completion, as JSON `{"encrypt_password": …}`.
 * @throws {Refused} the hash cannot be verified without the password
 */
export async function verifyEncrypted<T> (
  { settings: { encryption } }: Mount, { upload, state }: OpenTask, request: FastifyRequest, work: () => Promise<T>
): Promise<T> {
  const { checksum, checksumState } = upload
  if (state.encryption === null || checksum === null || (checksumState?.offset ?? 0) === sizeOf(upload)) return await work()
  const fields = new FieldReader(await readForm(request))
  const password = fields.optional('encrypt_password', text)
  fields.check()
  if (password === null || encryption === undefined) {
    throw new Refused({
      status: 400,
      code: 'HASH_NOT_VERIFIABLE',
      message: 'The chunks of this encrypted file came out of order: send encrypt_password with the completion to have its hash verified.'
    })
  }
  const file = await encryption.unlock(upload, password)
  return await encryption.using(file, work)
}
