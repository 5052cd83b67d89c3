import { pathToFileURL } from 'node:url'

/**
 * Where the worker thread `name` of this folder stands, for `new Worker(workerUrl('hash-worker'))`: the `.js` of the
 * running build, or the `.ts` when running from source.
 *
 * CommonJS in both builds: `import.meta` does not compile to CommonJS, and `__filename` is not there in ESM.
 */
function workerUrl (name: string): URL {
  const extension = __filename.endsWith('.cts') ? '.ts' : '.js'
  return new URL(`./${name}${extension}`, pathToFileURL(__filename))
}

export = workerUrl
