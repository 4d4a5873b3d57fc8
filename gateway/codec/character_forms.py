"""Traditional and Japanese forms of the characters in names of columns and in words of codes → the simplified ones
(GB 2312): 性別 is 性别, 門診 is 门诊. Only to compare words; what is stored stays as it was written."""

from __future__ import annotations

from typing import Final

_FORMS: Final = (  # the simplified character, then its other forms
    "专專 业業 东東 个個 临臨 书書 从從 仪儀 价價価 优優 会會 传傳 体體躰 储儲 关關 冲沖衝 况況 准準 "
    "几幾 凭憑 则則 创創 别別 办辦 务務 动動 医醫 区區 单單単 卫衛衞 历歷歴曆 压壓圧 县縣県 参參 双雙 "
    "发發発 变變変 号號 后後 员員 唤喚 嘱囑 围圍 国國 图圖図 处處処 备備 复復複 头頭 婴嬰 学學 实實実 "
    "审審 对對対 导導 属屬 师師 带帶帯 并並 广廣広 库庫 应應応 废廢廃 开開 异異 张張 录錄録 归歸帰 态態 "
    "总總総 户戶戸 执執 扫掃 护護 报報 抢搶 择擇択 挂掛 据據拠 损損 换換 摄攝 数數 断斷 无無 时時 显顯 "
    "暂暫 术術 机機 权權 条條 来來 构構 标標 样樣様 档檔 检檢検 测測 温溫 状狀 现現 电電 疗療 监監 确確 "
    "码碼 础礎 离離 种種 称稱 签簽籤 简簡 类類 紧緊 约約 级級 线線綫 组組 细細 织織 终終 经經 结結 绝絕 "
    "继繼継 续續続 绿綠 编編 缩縮 缴繳 职職 联聯 肠腸 胶膠 脉脈 范範 药藥薬 补補 观觀 规規 计計 订訂 "
    "认認 议議 讯訊 记記 论論 设設 访訪 证證証 评評 识識 诉訴 诊診 试試 话話 详詳 语語 说說説 请請 调調 "
    "责責 质質 费費 资資 转轉転 软軟 辅輔 过過 进進 远遠 选選 释釋 采採 钼鉬 链鏈 销銷 键鍵 镇鎮 镜鏡 "
    "门門 闭閉 间間 阅閱 阳陽 阴陰 际際 随隨 险險険 项項 顺順 预預 频頻 题題 验驗験 龄齡齢 岁歲歳嵗 孙孫 "
    "妇婦 儿兒児 轻輕 伤傷 声聲 层層 场場 删刪 产產 减減 余餘 于於 与與 为為爲 宁寧 点點 肾腎 胆膽 脏臟 "
    "见見 览覽 读讀 负負 长長 强強 值値 查査 内內 床牀 里裡裏 万萬 亲親 启啟 弃棄 还還 红紅 志誌 汉漢 "
    "陆陸 难難 静靜 养養 烟煙 习習 觉覺 视視 听聽 轮輪 车車 贫貧 脑腦 肿腫 疡瘍 症癥 满滿 浓濃 钙鈣 钠鈉 "
    "钾鉀 镁鎂 铁鐵 锌鋅 浊濁 颜顏 齐齊 写寫 注註 侧側 俭儉 偿償 击擊 劳勞 协協 卖賣 厅廳 咨諮 响響 团團 "
    "块塊 坏壞 坛壇 宝寶 宽寬 帐帳 干乾 当當 征徵 径徑 怀懷 恶惡 担擔 杨楊 极極 树樹 栏欄 楼樓 毕畢 气氣 "
    "汇匯 没沒 济濟 环環 盖蓋 盘盤 积積 稳穩 笔筆 给給 统統 罗羅 脚腳 营營 虑慮 词詞 误誤 谢謝 载載 较較 "
    "输輸 边邊 达達 迟遲 运運 这這 连連 适適 递遞 邮郵 钟鐘 问問 阶階 须須 领領 额額 风風 鉴鑒 划劃 占佔 "
    "周週 决決 台臺 升昇 系係 尸屍 群羣 只隻祇 众眾 吗嗎 乡鄉 浆漿"
)
_SIMPLIFIED: Final = {ord(other): pair[0] for pair in _FORMS.split() for other in pair[1:]}


def simplified(text: str) -> str:
    """The text with its traditional and Japanese characters as simplified ones, where these are known."""
    return text if text.isascii() else text.translate(_SIMPLIFIED)
