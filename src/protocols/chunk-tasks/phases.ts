import type { UploadUsage } from '../../engine/index.js'
import type { UploadPhase } from '../../upload.js'
import { taskStatus } from './task.js'

export const PHASES: readonly UploadPhase[] = ['open', 'overdue', 'complete', 'expired', 'removed', 'invalid', 'lost']

/** What uploads of a task's status are; none for a status that no task here has. */
export function phasesOf (status: number): readonly UploadPhase[] {
  switch (status) {
    case taskStatus.InProgress: return ['open']
    case taskStatus.Completed: return ['complete']
    case taskStatus.Failed: return ['invalid', 'lost']
    case taskStatus.Cancelled: return ['removed']
    case taskStatus.Expired: return ['overdue', 'expired']
    default: return []
  }
}

export function sumOf (counts: UploadUsage['counts'], phases: readonly UploadPhase[]): number {
  return phases.reduce((sum, phase) => sum + counts[phase], 0)
}
