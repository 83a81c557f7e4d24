/* The screens around the call: the waiting room and the farewell. */
import { words } from '../words';
import { el, textButton } from './dom';

export function card(...children: (Node | string)[]): HTMLElement {
    return el('main', { class: 'door' }, el('section', { class: 'card' }, ...children));
}

export function waitingScreen(title: string, onLeave: () => void): HTMLElement {
    return card(
        el('h1', {}, words.waiting.title),
        el('p', { class: 'lead', role: 'status' }, words.waiting.lead),
        el('p', { class: 'strong' }, title),
        el('div', { class: 'dots', 'aria-hidden': 'true' }, el('i'), el('i'), el('i')),
        textButton(words.waiting.leave, onLeave, 'secondary'),
    );
}

/* After the call: why it is over, and the way back; for who has signed in, to the others, too. */
export function endScreen(
    title: string,
    reason: string,
    onAgain: () => void,
    onMine?: () => void,
): HTMLElement {
    const again = el(
        'button',
        { type: 'button', class: 'primary', id: 'again' },
        words.ended.again,
    );

    again.addEventListener('click', onAgain);
    requestAnimationFrame(() => again.focus());
    return card(
        el('h1', {}, title),
        el('p', { class: 'lead', role: 'alert' }, reason),
        again,
        ...(onMine === undefined ? [] : [textButton(words.mine.back, onMine, 'secondary')]),
    );
}
