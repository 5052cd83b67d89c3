import type { Operation, OperationChannels } from '../telemetry/channels.js'

/** Every operation enters here: those who listen to its channel hear of its start and its end. Costs nothing where none does. */
export async function run<T> (
  { channels }: { readonly channels: OperationChannels }, operation: Operation, id: string | undefined, work: () => Promise<T>
): Promise<T> {
  const channel = channels[operation]
  const { start, end, asyncStart, asyncEnd, error } = channel
  const isHeard = [start, end, asyncStart, asyncEnd, error].some(({ hasSubscribers }) => hasSubscribers)
  return isHeard ? await channel.tracePromise(work, { operation, id }) : await work()
}
