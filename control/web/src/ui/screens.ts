/* The screens before and after the call: the short form, and the farewell. */
import { parseInvitation, type Options } from '../options';
import { el } from './dom';

function card(...children: (Node | string)[]): HTMLElement {
    return el('main', { class: 'door' }, el('section', { class: 'card' }, ...children));
}

function field(label: string, input: HTMLInputElement, hint?: string): HTMLElement {
    const wrapped = el('label', { class: 'field' }, el('span', {}, label), input);

    if (hint !== undefined) {
        wrapped.append(el('small', {}, hint));
    }
    return wrapped;
}

/* Asks for what the address did not say; `onJoin` gets the completed options. */
export function joinScreen(
    options: Options,
    onJoin: (options: Options) => void,
): HTMLElement {
    const meeting = el('input', {
        name: 'meeting',
        required: true,
        maxlength: '128',
        autocomplete: 'off',
        value: options.meeting,
    });
    const name = el('input', {
        name: 'name',
        required: true,
        maxlength: '64',
        autocomplete: 'name',
        value: options.name,
    });
    const invitation = el('input', {
        name: 'invitation',
        required: true,
        autocomplete: 'off',
        spellcheck: 'false',
    });
    const form = el('form', { id: 'join-form' });

    if (options.token === '') {
        form.append(
            field('Invitation', invitation, 'The link that you were sent, or its token.'),
        );
        invitation.addEventListener('input', () => {
            meeting.value = parseInvitation(invitation.value).meeting || meeting.value;
        });
    }
    form.append(
        field('Meeting', meeting),
        field('Your name', name),
        el('button', { type: 'submit', class: 'primary' }, 'Join the call'),
    );
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        onJoin({
            ...options,
            meeting: meeting.value.trim(),
            name: name.value.trim(),
            token: options.token || parseInvitation(invitation.value).token,
        });
    });
    const screen = card(
        el(
            'h1',
            {},
            options.meeting === '' ? 'Join a meeting' : `Join “${options.meeting}”`,
        ),
        el('p', { class: 'lead' }, 'Your browser will ask for your camera and microphone.'),
        form,
    );
    requestAnimationFrame(() =>
        [invitation, meeting, name]
            .find((input) => input.isConnected && input.value === '')
            ?.focus(),
    );
    return screen;
}

/* After the call: why it is over, and the way back. */
export function endScreen(title: string, reason: string, onAgain: () => void): HTMLElement {
    const again = el(
        'button',
        { type: 'button', class: 'primary', id: 'again' },
        'Join again',
    );

    again.addEventListener('click', onAgain);
    requestAnimationFrame(() => again.focus());
    return card(
        el('h1', {}, title),
        el('p', { class: 'lead', role: 'alert' }, reason),
        again,
    );
}
