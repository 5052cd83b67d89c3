export { newUpload } from './new-upload.js'
export type { TestFunction } from './test-function.js'
