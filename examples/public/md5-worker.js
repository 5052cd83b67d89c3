/* A classic worker: hash-wasm's own build is loaded as it is published. */
/* global importScripts, hashwasm */
importScripts('/hash-wasm/md5.umd.min.js')

const STEP = 4 * 1024 * 1024
let file
let hasher
let done = 0
let goal = 0
let wantDigest = false
let digest
let busy = false

self.onmessage = ({ data }) => {
  if (data.file) file = data.file
  goal = Math.max(goal, data.upTo ?? 0)
  wantDigest ||= data.digest === true
  work()
}

async function work () {
  if (busy) return
  busy = true
  try {
    hasher ??= await hashwasm.createMD5()
    while (done < goal) {
      const end = Math.min(done + STEP, goal)
      hasher.update(new Uint8Array(await file.slice(done, end).arrayBuffer()))
      done = end
    }
    if (wantDigest && done === file.size) self.postMessage({ digest: digest ??= hasher.digest() })
  } catch (error) {
    self.postMessage({ error: error.message })
  }
  busy = false
}
