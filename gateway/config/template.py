"""What `hutong init` writes: a community's own folder with one commented example member.

Comments are Chinese and English: the people who fill this in are a hospital's own IT staff.
"""

from __future__ import annotations

from pathlib import Path

from gateway import errors

COMMUNITY = """\
# 医共体设置 · the community's settings
# 改完后运行 · after every change run:  hutong check --config community.yaml
id: my-community
name: 某县医共体

# true: 未登记的机构也可发送，按 MSH-4 记为“未确认成员”；成员都登记后改为 false。
# true: a facility that is not listed may send too and becomes an unconfirmed member by its MSH-4.
#       Set it to false once all members are listed.
open: true

# 消息里的时间没有时区时按此时区 · zone of times that carry no offset
time_zone: Asia/Shanghai

# 每个成员一个文件夹 · one folder a member: members/<id>/member.yaml
members: members

# FHIR 订阅可推送到的内网地址（公网只用 https） · where Subscriptions of FHIR clients may send to besides public https
# hooks: {networks: [10.20.0.0/16], hosts: [his.county.local]}

# 自有映射 (.map) 的文件夹；随附的映射不用写 · folders with own maps; the shipped ones come by themselves
maps: [maps]
"""

MEMBER = """\
# 成员机构示例，复制本文件夹并改名即可新增一个成员。
# An example member. Copy this folder and rename it to add one; `id` is the folder's name.
id: example-township
name: 示例乡镇卫生院
identifier: ""                    # 统一社会信用代码 · organisation number
kind: township                    # hospital | township | village | centre

# 它在 MSH-4 里的写法，以及它的号码的发号机构 (PID-3.4)
# what it writes in MSH-4, and the assigning authorities (PID-3.4) of its numbers
facilities: [EXAMPLE]

authoritative: true               # 它的 ADT 可以修改患者基本信息 · its ADT may change demographics
# 它可以用 QBP 查询患者；打开前请确认只有它能连到这个端口
# it may ask for patients by QBP; be sure before that nobody else reaches its port
queries: false

# 与共享映射不同之处，一行一处 · what differs from the shared maps, one line each
profile:
  charset: GB18030                # 读：优先于 MSH-18；写：用它写 · reading: beats MSH-18; writing: what is written
  version: "2.4"                  # 发给它的 HL7 版本 · HL7 version written to it
  # authorities:                  # 发号机构 → 标识系统 · assigning authority → identifier system
  #   ZYH: urn:hutong:id:EXAMPLE:ZYH
  # codes:                        # 本地代码 → 标准代码 · local code → standard code
  #   sex: {"1": M, "2": F}
  # moves: ["PID-2 -> PID-3 if empty"]
  # off: [PID-14]

# 它发来的线路 · the lines on which it sends
channels:
  - id: example-hl7               # 共用 MLLP 端口，按 MSH-4 认人 · the shared MLLP port; known by MSH-4
    transport: mllp
    format: hl7v2
    # listen: 127.0.0.1:2576      # 专用端口 · a port of its own
  # - id: example-web             # POST /intake/example-web，PUT …/example-web/FILE.csv，SOAP /soap/example-web?wsdl
  #   transport: http
  #   format: hl7v2
  # - id: example-files           # 投递文件夹（数据目录下）· a drop folder inside the data directory
  #   transport: files
  #   format: delimited
  #   folder: drop/example
  #   pattern: "*.csv"
  # - id: example-sftp            # 定时取走对方服务器上的文件 · files fetched from the member's SFTP server
  #   transport: sftp             # 需要 · needs:  pip install 'hutong[sftp]'
  #   format: delimited
  #   folder: /out/results        # 取走后移入其中的 done 或 error · what is taken moves to done or error in it
  #   # leave: true               # 只读账号：文件留在原处，取过的记在本地 · a read-only account: nothing is moved
  #   server:
  #     host: 10.1.2.3
  #     port: 22
  #     user: hutong
  #     # 服务器公钥：用 ssh-keyscan 取得并请对方核对 · the server's key as ssh-keyscan prints it, confirmed by them
  #     host_keys: ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
  #     key: file:/etc/hutong/id_ed25519     # 私钥 · our private key; its passphrase: env:NAME
  #     # password: env:EXAMPLE_SFTP          # 或口令，只写出处 · or a password: only where it is, never itself
  # - id: example-views           # 定时读取对方数据库的只读视图 · read-only views of the member's database, polled
  #   transport: database         # 需要 · needs:  pip install 'hutong[db]'
  #   format: rows
  #   database:
  #     url: env:EXAMPLE_DATABASE  # postgresql://USER:PASSWORD@HOST/NAME，mysql、mssql、oracle、sqlite 亦可
  #     # optional: true           # 未设置地址时不读取，也不算错误 · off, and no mistake, while the address is not set
  #     every: 60                  # 秒 · seconds between two looks
  #     # stored: GB18030          # latin1 或二进制列里存的是 GBK 时 · GBK in latin1 or binary columns
  #     # 每个视图一个随修改增长的列 · each view with a column that grows with every change
  #     views: [{view: V_检验结果, watermark: 修改时间, overlap: 900}]

# 它要收到的 · what it asked to receive
subscriptions:
  - id: example-results           # 只收本院开单的报告 · only results of its own orders
    criteria: ["DiagnosticReport?status=final,corrected,amended"]
    only: placed-here             # all | placed-here | known-here
    transport: mllp
    address: 127.0.0.1:2600
    format: hl7v2
    message: ORU_R01
  # - id: example-fhir
  #   criteria: ["DiagnosticReport?status=final"]
  #   transport: http
  #   address: https://his.example.org/fhir
  #   format: fhir
  #   message: bundle
  #   headers: {Authorization: "env:EXAMPLE_TOKEN"}   # 密码只放在环境变量 · secrets stay in the environment
  # - id: example-tables          # 或 delimited、xml、json · delimited, xml and json as well
  #   criteria: ["DiagnosticReport?status=final"]
  #   transport: files
  #   address: out/example
  #   file_name: LIS_{key}        # {key} 每份不同，不含病人信息 · its own for each file, and nothing of a patient
  #   format: workbook
  #   message: laboratory-results # 导出映射的名字 · the name of an export map
  #   profile: {charset: GBK, file: {titles: [检验结果], times: YYYY/MM/DD HH:mm}}
  # - id: example-middle-table    # 写入对方的中间表 · rows into a middle table of the member's database
  #   criteria: [DiagnosticReport]
  #   transport: database
  #   address: env:EXAMPLE_DATABASE
  #   format: rows
  #   message: laboratory-results # 导出映射的名字 · the name of an export map
  #   # delivery、number：我方流水号与行号，建议设为主键 · our number and the row's: best the primary key
  #   table: {name: JYJG, delivery: jhlsh, number: hh, withdrawn: cxbz, columns: {项目名称: xmmc, 结果: jg}}
"""

MAPS = """\
# 自有映射放在这里 · own maps (.map) and code tables (.csv) go here
"""

FILES = {
    "community.yaml": COMMUNITY,
    "members/example-township/member.yaml": MEMBER,
    "maps/README": MAPS,
}


def template(folder: Path) -> list[Path]:
    """Write a new community's folder and return the files made.

    Nothing that exists is overwritten: errors.Configuration before the first byte when one of the files is there.
    """
    taken = [name for name in FILES if (folder / name).exists()]
    if taken:
        raise errors.Configuration(
            f"{taken[0]} exists already", place=str(folder), remedy="choose an empty folder; nothing was changed"
        )
    made = []
    try:
        for name, text in FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            made.append(path)
    except OSError as error:
        raise errors.Configuration(
            f"cannot be written: {error.strerror}", place=str(folder), remedy="check the path and the permissions"
        ) from error
    return made
