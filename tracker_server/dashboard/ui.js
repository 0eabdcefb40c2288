/** The one door to the vendored view libraries: everything else imports from here. */
import { Fragment, h, render } from './vendor/preact.js';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from './vendor/preact_hooks.js';
import { batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect } from './vendor/signals.js';
import htm from './vendor/htm.js';

/** Tagged template that makes Preact nodes. Interpolated text is always a text node or an attribute, never markup. */
export const html = htm.bind(h);

export {
  Fragment, batch, computed, effect, render, signal, untracked, useCallback, useComputed, useEffect, useLayoutEffect,
  useMemo, useRef, useSignal, useSignalEffect, useState,
};
