/** Which of the systems that share this contract is spoken where their answers cannot be merged. */
export type DialectName = 'drf' | 'chunky' | 'parent'

export interface Dialect {
  /** What an anonymous request hears where a user is required: 403 before everything else, or drf's 400 and 404 in their place. */
  readonly refusesAnonymousFirst: boolean
  /** A total beyond the limit is refused before the upload is looked up. */
  readonly checksLimitFirst: boolean
  /** A missing checksum is told before the upload is looked up; otherwise it is one that does not match. */
  readonly demandsChecksumFirst: boolean
  readonly alreadyComplete: string
  readonly checksumWrong: (algorithm: string) => string
}

const chunky: Dialect = {
  refusesAnonymousFirst: true,
  checksLimitFirst: false,
  demandsChecksumFirst: false,
  alreadyComplete: 'Upload has already been marked as "COMPLETE"',
  checksumWrong: algorithm => `${algorithm} checksum does not match`
}

/** drf-chunked-upload, its fork-of-the-parent django-chunky-upload, and their parent django-chunked-upload. */
export const dialects: Readonly<Record<DialectName, Dialect>> = {
  drf: {
    refusesAnonymousFirst: false,
    checksLimitFirst: true,
    demandsChecksumFirst: true,
    alreadyComplete: 'Upload has already been marked as "complete"',
    checksumWrong: () => 'checksum does not match'
  },
  chunky,
  parent: { ...chunky, demandsChecksumFirst: true, alreadyComplete: 'Upload has already been marked as "complete"' }
}
