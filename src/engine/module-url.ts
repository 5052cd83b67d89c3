import workerUrl from './worker-url.cjs'

/** Address of this module as it runs: `.js` in the builds, `.ts` from source. */
export const moduleUrl = workerUrl('module-url').href
