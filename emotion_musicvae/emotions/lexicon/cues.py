"""What stands around words of feelings and changes what they say.

Words of degree, turns such as "but", who it is that feels, what is over, irony,
and how things are told in manuals and encyclopedias.
"""

import re

from emotion_musicvae.emotions.lexicon import vocabulary

# Factor on the degree of a word that follows.
DEGREES = {
  **dict.fromkeys(
    vocabulary.listed(
      'very really extremely incredibly deeply terribly truly totally '
      'absolutely completely utterly insanely immensely profoundly '
      'overwhelmingly super madly 너무 너무너무 정말 진짜 참 아주 매우 '
      '몹시 무척 굉장히 엄청 엄청나게 완전 되게 대단히 지독히 지독하게 '
      '한없이 더없이 겁나 존나 졸라 넘 넘넘 핵 개 왕창 사무치게 미치게 '
      '미치도록 죽도록 정말로 진심으로 가장 제일 끔찍하게 무지 무지하게 '
      '얼마나'
    ),
    1.4,
  ),
  **dict.fromkeys(vocabulary.listed('so too such quite how most'), 1.3),
  **dict.fromkeys(vocabulary.listed('pretty rather 꽤 제법 상당히 퍽'), 1.15),
  **dict.fromkeys(
    vocabulary.listed('maybe perhaps fairly almost 좀 그럭저럭 어쩐지 왠지'),
    0.8,
  ),
  **dict.fromkeys(
    vocabulary.listed(
      'slightly somewhat mildly kinda sorta little bit 조금 약간 살짝 '
      '다소 조금은 쪼금 쫌'
    ),
    0.55,
  ),
}
# And of one that stands before.
STRONG_AFTER = re.compile(
  'a lot|so much|very much|to death|beyond words|more than|죽겠|미치겠|죽을|'
  '그지없|이를 데|한이 없|끝이 없'
)
WEAK_AFTER = re.compile('a little|a bit|somewhat')

# Words after which the rest goes against what came before: what that counts
# from then on.
TURNS = {
  **dict.fromkeys(
    vocabulary.listed(
      'but however nevertheless nonetheless yet still 하지만 그러나 '
      '그렇지만 그래도 그런데도 그치만 그럼에도 허나 막상'
    ),
    0.3,
  ),
  **dict.fromkeys(vocabulary.listed('근데 그런데 다만 반면 오히려'), 0.4),
}
# Endings with the same effect.
TURNING = re.compile(
  '(?P<strong>.*(?:지만|지만은|으나|였으나|더라도|음에도|는데도|은데도|건만|'
  '거늘)$|'
  '.+(?:어도|아도|해도|여도|워도|려도|져도)$)|(?P<weak>.+(?:면서도|고도)$)'
)
NO_TURN = frozenset(
  vocabulary.listed(
    '아무래도 아직도 적어도 그래도 하지만 그렇지만 어쩌면 아마도 그런데 '
    '가운데 한데'
  )
)
# Words that begin what is conceded.
CONCEDES = frozenset(
  vocabulary.listed('although though despite even whereas 비록')
)

SUBJECTS = frozenset(vocabulary.listed("i i'm i've i'll we he she they"))
OWN = re.compile(
  "i|i'm|i've|i'll|i'd|im|me|myself|we|we're|us|나|난|나는|내가|내|나만|나도|"
  '나를|날|'
  '나의|나한테|나에게|내게|저|저는|제가|전|저도|우리|우린|우리는|우리가|'
  '나까지|나랑|나로'
)
_PEOPLE = (
  'mother father mom dad mum sister brother friend friends boss wife husband '
  'son daughter teacher parents neighbour neighbor family colleague colleagues '
  'classmates team girlfriend boyfriend uncle aunt grandma grandpa coach'
)
OTHERS = re.compile(
  f"he|she|they|he's|she's|they're|everyone|everybody|people|others|"
  f'{_PEOPLE.replace(" ", "|")}|'
  '(?:그|그녀|걔|쟤|그들|친구|친구들|동기|동기들|동생|언니|오빠|누나|형|엄마|'
  '아빠|어머니|'
  '아버지|부모님|'
  '남편|아내|선생님|팀장|팀장님|부장|사장|사장님|상사|남|남들|사람들|모두|딸|'
  '아들|가족들|'
  '가족|동료|동료들|이웃|그분|짝꿍|룸메|후배|선배|할머니|할아버지)'
  '(?:은|는|이|가|께서|께서는|들은|들이|도)|다들|모두|모두가|남들은|남들이|'
  '누구나'
)

PAST = re.compile(
  r'\b(?:used to|back then|when i was|last (?:year|month|summer|winter)|'
  r'at first|for a long time|those were|years ago|as a (?:kid|child)|formerly|'
  r'in the past|in those days|for years|'
  r'(?<!at )once(?= (?:i|we|he|she|they|it) (?:\w+ed|was|were|had|felt)\b|'
  r',))\b|'
  '(?:^| )(?:예전|그 시절|어린 시절|젊은 시절|옛날|한때|어릴|어렸을|과거|'
  '작년|지난해|재작년|그때는|그땐|'
  '전에는|처음엔|'
  '처음에는|한동안|원래는|학생 때|몇 년 전|지난주|지난달)'
)
NOW = re.compile(
  r'\b(?:now|today|nowadays|these days|tonight|this year|at last)\b|'
  '(?:^| )(?:이제|이젠|지금|요즘|요새|오늘|올해|현재|막상|결국)'
)
NO_MORE = re.compile(r'\bnot\b|\bno (?:longer|more)\b|아니|안 그|않|달라')

# Speaks of words and things, not of feelings.
_ABOUT = re.compile(
  r'\b(?:words?|letters|noun|adjective|verb|synonyms?|antonyms?|opposite|means|'
  r'dictionary|defined?|definition|terms?|genre|band|albums?|released|'
  r'published|directed by|starring|suburb|residential|ltd|inc|criteria|'
  r'diagnosed|symptoms?|basic emotions|listed|located|founded|chapters?|'
  r'capital of|population|accounts|installed|version|spell|pronounce|'
  r'translate|opens at|closes at)\b|'
  '단어|낱말|명사|형용사|동사|반대말|비슷한말|유의어|한자|사전|정의|용어|장르|'
  '개봉|상영|출간|'
  '출판|기준|기본 감정|분류|음절|글자|맞춤법|철자|진단|증상|설립|발매|'
  '번역|뜻이다|뜻은|'
  '뜻하는|의미한다|라고 한다|알려져|감독|학명'
)
# Tells how things are, as manuals do: in the present, and of no one.
_OF_SOMEONE = re.compile(
  r"\b(?:i|i'\w+|me|my|we|us|our|you|your|he|she|him|her|his|they|love|"
  r'feel\w*)\b'
  '|나는|내가|내 |나의|우리|너|당신|마음|기분'
)
_PRESENT = re.compile(
  r'\b(?:is|are|can|must|should|may|will|has|have|uses?|returns?|contains?|'
  r'supports?|if)\b|(?:이다|입니다|습니다|됩니다|세요|십시오|되어 있다|'
  r'해야 한다|주세요|'
  r'습니까)$'
)

# What makes a word of praise sound like irony.
ANNOYING = re.compile(
  r'\b(?:again|another|traffic|cancel\w*|delay\w*|broke\w*|died|dead|late|'
  r'overtime|mondays?|queue|leak\w*|stuck|flat|bill|fine|tax\w*|homework|'
  r"rain\w*|won't start|doesn't work|crash\w*|lost|waiting|wait|working on|"
  r'hours?|no (?:wifi|hot water|water|power|signal)|'
  r'sold out|on call|in line|stolen|spilled|alarm|wrong|fail\w*)\b|'
  r'야근|월요일|연착|고장|출근|'
  r'또 |'
  '망했|망쳤|무시|밀렸|밀린|벌금|과제|새벽부터|정전|막혀|막히|지각|취소|당직|'
  '주말에|철야|'
  '잔소리|결항|늦|비가 새|쏟|깨졌|어겼|탈락|꼴찌|휴일에|'
  '떠들고 다|소문|뒷담|거짓말|망가|까먹|품절|매진|기다렸|긁|다운|먹통|'
  '비는 오|찢어|펑크|도 안 |엎'
)
MOCKING = re.compile(
  r'(?:^|[.!?,;] ?)(?:oh|wow|well|yeah|gee|great|just great|lovely|perfect|'
  r'fantastic|wonderful|brilliant|terrific|nice|how lovely|how nice|how fun|'
  r'what fun|awesome|thanks)\b[^.!?,;]{0,14}(?:[.!?,;]|$)|\bhow (?:fun|nice|'
  r'lovely|wonderful)\b|\boh (?:great|joy|good|wonderful|lovely|perfect|'
  r'fantastic)\b|\bnot[.!]?$|참 [가-힣 ]{0,20}(?:네|구나|군|다)|'
  r'아주 [가-힣 ]{0,20}(?:네|구나|군|겠다|다)|'
  '(?:^|[.!?] ?)와 [가-힣 ]{0,12}(?:신난다|좋다|좋네|최고|행복|훌륭|대단|'
  '멋지|완벽|잘한)|'
  r'\bwhat a (?:lovely|great|wonderful|nice|perfect|beautiful|fantastic) '
  r'[a-z]+\b|\blucky me\b|\bhow (?:kind|'
  r'thoughtful|considerate|generous)\b|\bso kind of\b|'
  r'눈물 ?나게|도 하셔라|도 하시네|퍽이나|잘도|어련히|^그래'
)
MOCKED = frozenset(
  vocabulary.listed(
    'joy praise elation fun excitement thanks success well laughter relief'
  )
)

# Little words that tell languages in Latin letters from one another.
ENGLISH = frozenset(
  vocabulary.listed(
    "the a an i i'm you it's is are was were am be been my your his her "
    'our their this that and or but of to in on at for with so not no '
    'have has had do does did will would can could what when how why '
    'who all just it he she we they me him them if from by as up out '
    'about there here very too'
  )
)
NOT_ENGLISH = frozenset(
  vocabulary.listed(
    'je suis tu il elle nous vous est les une des du et dans pour avec '
    'très ich bin du ist und der das ein eine nicht mit sehr auf wir '
    'sie el la los las que en muy con estoy soy una por di che sono '
    'molto per non della jag är och det inte som på av mi te lo le se '
    'het een niet ik van heb om eu não muito você estou é está hoje'
  )
)


def is_of_someone(text: str) -> bool:
  """Whether a text, in small letters, speaks of a person."""
  return bool(_OF_SOMEONE.search(text))


def register(sentence: str) -> float:
  """What words count in a sentence, in small letters, by how it speaks."""
  if is_of_someone(sentence):
    return 1.0
  if _ABOUT.search(sentence):
    return 0.1
  return 0.6 if _PRESENT.search(sentence) else 1.0
