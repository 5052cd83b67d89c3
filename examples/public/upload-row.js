import { Unreadable } from './checksum.js'
import { formatDuration, formatPercent, formatSize } from './format.js'
import { Speed } from './speed.js'

const ACTIONS = {
  queued: 'Pause',
  hashing: 'Pause',
  sending: 'Pause',
  checking: 'Pause',
  waiting: 'Try now',
  paused: 'Resume',
  failed: 'Try again'
}

/** One upload in the list: `element` shows it and is redrawn at most once a frame. */
export class UploadRow {
  element
  #upload
  #parts
  #speed = new Speed()
  #state = null
  #drawing = false

  /** `onResume` is called for an upload whose file has to be found first, `onCancel` for the cancel button. */
  constructor (upload, template, { onResume, onCancel }) {
    this.#upload = upload
    this.element = template.content.firstElementChild.cloneNode(true)
    const part = selector => this.element.querySelector(selector)
    this.#parts = {
      percent: part('.percent'),
      progress: part('progress'),
      status: part('.status'),
      figures: part('.figures'),
      act: part('.act')
    }
    part('.name').textContent = upload.name
    this.#parts.progress.setAttribute('aria-label', `Progress of ${upload.name}`)
    part('.cancel').setAttribute('aria-label', `Cancel ${upload.name}`)
    part('.cancel').addEventListener('click', onCancel)
    this.#parts.act.addEventListener('click', () => {
      if (['queued', 'hashing', 'sending', 'checking'].includes(upload.state)) upload.pause()
      else if (upload.file === null) onResume()
      else upload.start()
    })
    upload.addEventListener('change', () => this.#soon())
    this.#draw()
  }

  #soon () {
    if (this.#upload.state === 'sending') {
      if (this.#state !== 'sending') this.#speed = new Speed()
      this.#speed.look(this.#upload.sent)
    }
    this.#state = this.#upload.state
    if (this.#drawing) return
    this.#drawing = true
    requestAnimationFrame(() => {
      this.#drawing = false
      this.#draw()
    })
  }

  #draw () {
    const { state, sent, size, name, retryAt } = this.#upload
    const { percent, progress, status, figures, act } = this.#parts
    const fraction = size === 0 ? 0 : sent / size
    this.element.dataset.state = state
    progress.value = fraction
    percent.textContent = formatPercent(fraction)
    status.textContent = this.#status()
    figures.textContent = this.#figures()
    act.textContent = this.#action()
    act.setAttribute('aria-label', `${act.textContent}: ${name}`)
    if (retryAt !== null) setTimeout(() => this.#soon(), 500)
  }

  #status () {
    const { state, error, retryAt, handle, offset } = this.#upload
    switch (state) {
      case 'queued': return 'Waiting for its turn'
      case 'hashing': return 'Computing the checksum…'
      case 'sending': return 'Sending'
      case 'checking': return 'Comparing checksums…'
      case 'paused': return 'Paused'
      case 'failed': return error.message
      case 'waiting':
        if (retryAt === null) return 'Waiting for the server… trying'
        return `Waiting for the server… next try in ${formatDuration((retryAt - Date.now()) / 1000)}`
      case 'detached':
        if (error instanceof Unreadable) return 'This file was moved or changed. Drop it again to go on.'
        if (handle !== null) return 'Interrupted'
        return offset === 0 ? 'Drop the file again to start' : 'Drop the file again to go on'
      default: return ''
    }
  }

  #figures () {
    const { state, sent, size } = this.#upload
    const speed = this.#speed.value
    const sizes = sent === 0 ? formatSize(size) : `${formatSize(sent)} of ${formatSize(size)}`
    if (state !== 'sending' || !speed) return sizes
    return `${sizes} · ${formatSize(speed)}/s · ${formatDuration((size - sent) / speed)} left`
  }

  #action () {
    const { state, handle, spoiled } = this.#upload
    if (state === 'detached') return handle === null ? 'Choose the file' : 'Resume'
    if (state === 'failed' && spoiled) return 'Start over'
    return ACTIONS[state] ?? ''
  }
}
